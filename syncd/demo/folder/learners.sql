-- The learners' feed: one row per learner. syncd runs this SELECT and compares each row with what OneFile accepted.
-- Each column is named after a OneFile field, or after a reference column that has the MIS's own code or name.
SELECT
    learner.code             AS MISID,                 -- identifies the learner: never change how it is made
    learner.forename         AS FirstName,
    learner.surname          AS LastName,
    learner.email            AS Email,
    learner.date_of_birth    AS DOB,
    learner.uln              AS ULN,
    learner.mobile           AS MobileNumber,
    enrolment.starts_on      AS StartOn,
    enrolment.ends_on        AS PlannedEndDate,
    enrolment.class_code     AS ClassroomMISID,        -- the class in OneFile that has this code as its MISID
    enrolment.tutor_code     AS DefaultAssessorMISID,  -- the assessor in OneFile who has this code as their MISID
    site.name                AS PlacementName          -- the placement in OneFile that has this name
FROM learner
JOIN enrolment ON enrolment.learner_code = learner.code
LEFT JOIN site ON site.code = learner.site_code
WHERE enrolment.status = 'current'
ORDER BY learner.code
