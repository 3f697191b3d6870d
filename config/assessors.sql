-- The assessors' feed: one row for each assessor who needs an account in OneFile. learners.sql explains the rest.
--
-- With this feed a learner's DefaultAssessorMISID may name an assessor who has no account yet: the assessor is created
-- first, in the same run. Feeds for the other roles look the same; an Employer and an Observer need a placement too.

SELECT
    tutor.code        AS MISID,        -- the value of DefaultAssessorMISID in learners.sql
    tutor.forename    AS FirstName,
    tutor.surname     AS LastName,
    tutor.email       AS Email,
    tutor.telephone   AS Telephone     -- optional, as are MobileNumber, WorkAddress, HomeAddress, DOB and Website
FROM tutor
WHERE tutor.is_assessor = 1
  AND tutor.left_on IS NULL
