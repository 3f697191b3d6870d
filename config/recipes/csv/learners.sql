-- The learners' feed over a CSV file that load_csv.py has put into mis.db: one row for each learner.
--
-- The names in quotation marks are the headings of the file, here those of learners.example.csv. The names after AS are
-- OneFile's. A column that is not here is never sent.

SELECT
    "Learner Ref"               AS MISID,                 -- must never change, and never be another person's
    "Forename"                  AS FirstName,
    "Surname"                   AS LastName,
    "Email"                     AS Email,                 -- without one a learner is held
    "Class Code"                AS ClassroomMISID,        -- or AS ClassroomName, if the file has the name in OneFile
    "Assessor Ref"              AS DefaultAssessorMISID,
    COALESCE(NULLIF("Employer", ''), 'At college')
                                AS PlacementName,         -- the name of a placement in OneFile
    "ULN"                       AS ULN,
    "Mobile"                    AS MobileNumber,

    -- 31/05/2007 becomes 2007-05-31. If the file has dates so already, "Date of Birth" AS DOB is enough.
    SUBSTR("Date of Birth", 7, 4) || '-' || SUBSTR("Date of Birth", 4, 2) || '-' || SUBSTR("Date of Birth", 1, 2)
                                AS DOB,
    SUBSTR("Start Date", 7, 4) || '-' || SUBSTR("Start Date", 4, 2) || '-' || SUBSTR("Start Date", 1, 2)
                                AS StartOn

FROM learners

-- One row per learner: a file with a row for each course needs a condition here that leaves one.
WHERE "Status" = 'Current'
