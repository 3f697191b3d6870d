-- The learners' feed: one row for each learner who needs an account in OneFile.
--
-- syncd runs this SELECT unchanged, in the SQL of your MIS, and sends what has changed since the last run. The tables
-- here are made up: use your own. The names after AS are OneFile's fields, in any letter case; an unknown name is an
-- error, and so is a missing mandatory one.
--
-- A column that is not here is never sent and never cleared. Leave out what OneFile does not need.
-- A learner with two rows is held until one of them is gone: see the WHERE at the end.

SELECT
    -- Mandatory: a row in which one of these is empty is held, and the others are sent.
    learner.reference           AS MISID,                 -- your number for the person, which must never change:
                                                          -- a new number is a new person to syncd
    learner.forename            AS FirstName,
    learner.surname             AS LastName,
    learner.email               AS Email,                 -- OneFile sends e-mails to it

    -- Mandatory, and each can be given in one of several ways: as your own code or name for it, which syncd looks up
    -- in OneFile, or as OneFile's id (AS ClassroomID, AS PlacementID, AS DefaultAssessorID).
    course.code                 AS ClassroomMISID,        -- or AS ClassroomName
    COALESCE(employer.name, 'At college')
                                AS PlacementName,         -- or AS PlacementMISID
    course.tutor_code           AS DefaultAssessorMISID,

    -- Optional: an empty value is not sent; an invalid one is left out and listed as a warning.
    learner.date_of_birth       AS DOB,                   -- a date, or text such as 2007-05-31
    learner.uln                 AS ULN,                   -- ten digits; the check digit is tested
    learner.mobile              AS MobileNumber,
    learner.telephone           AS Telephone,
    enrolment.starts_on         AS StartOn,
    enrolment.planned_end_on    AS PlannedEndDate

    -- Further columns:
    --   HomeAddress, WorkAddress                          text, its lines parted by line breaks
    --   DefaultEmployerMISID, or DefaultEmployerID        the person with the role Employer
    --   LearnerStatusName, or LearnerStatusID             one of the statuses that your organisation has in OneFile
    --   NINO                                              the National Insurance number
    --   L12, L13, L14, L15, L16                           ethnicity, sex, difficulty or disability: special-category
    --                                                     data, so send them only if you have to
    --   CompanyName, Website, EpisodeName, CentreRegister, CreatedOn, SupportFunding, ProviderID
    --   PersonKey                                         your own key of the person, the same for every enrolment: it
    --                                                     tells a next programme from another person; never sent
    --   OrganisationID                                    mandatory if onefile.organisations is set in syncd.toml

FROM learner
JOIN enrolment ON enrolment.learner_id = learner.id
JOIN course ON course.id = enrolment.course_id
LEFT JOIN employer ON employer.id = learner.employer_id

-- One row per learner: of several current enrolments, the latest. A learner that this query no longer returns is a
-- leaver; [leavers] in syncd.toml says what happens to the account.
WHERE enrolment.id = (
    SELECT MAX(latest.id)
    FROM enrolment AS latest
    WHERE latest.learner_id = learner.id
      AND latest.status = 'current'
)
