-- The learners' feed: one row a learner. syncd runs this SELECT and compares every row with what OneFile was last told.
-- Each column is named after a OneFile field, or after a column that gives it as the MIS's own code or name.
SELECT
    learner.reference        AS MISID,                 -- who it is, for good: never change how it is made
    learner.forename         AS FirstName,
    learner.surname          AS LastName,
    learner.email            AS Email,
    learner.date_of_birth    AS DOB,
    learner.uln              AS ULN,
    learner.mobile           AS MobileNumber,
    enrolment.starts_on      AS StartOn,
    enrolment.ends_on        AS PlannedEndDate,
    course.code              AS ClassroomMISID,        -- the class in OneFile that has this code as its MISID
    course.tutor_code        AS DefaultAssessorMISID,  -- the assessor in OneFile who has this code as their MISID
    COALESCE(employer.name, 'At college') AS PlacementName
FROM learner
JOIN enrolment ON enrolment.learner_reference = learner.reference
JOIN course ON course.code = enrolment.course_code
LEFT JOIN employer ON employer.id = learner.employer_id
WHERE enrolment.status = 'current'
ORDER BY learner.reference
