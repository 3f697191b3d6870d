-- The learners' feed of an MIS without a recipe. THIS TEMPLATE WAS NOT TRIED ON ANY PRODUCT.
--
-- The best way is a view in the MIS, here onefile_learners, that returns one row for each learner who needs an account in
-- OneFile, and a login that may read nothing else. Your report writers can create it. It needs:
--
--   the person        the number, which never changes; the names; the e-mail address that the college uses
--   the programme     the class or group, the start, the planned end: of several enrolments, the current one
--   the people        the tutor's or assessor's number, and the employer's or site's
--
-- What is known about some products. Rely only on what a vendor publishes; the rest was seen in queries that colleges
-- have published, and may differ in your version. Check it first.
--
--   Tribal ebs (Oracle, SQL Server): learners are in PEOPLE, with PERSON_CODE (a good MISID), FORENAME, SURNAME,
--     DATE_OF_BIRTH, SEX, NI_NUMBER and UK_POSTCODE; employers are in ORGANISATION_UNITS (source: the vendor's help for
--     sharing data with ontrack WBL). Seen in queries: enrolments in PEOPLE_UNITS (by PERSON_CODE; UIO_ID leads to
--     UNIT_INSTANCE_OCCURRENCES, the course as it runs this year).
--   Advanced ProSolution (SQL Server). Seen in queries: StudentDetail has a row for each student and academic year, with
--     StudentDetailID, StudentID, RefNo (printed on cards: a good MISID) and AcademicYearID; Enrolment leads from
--     StudentDetailID to OfferingID, which is the course in Offering. Select the current academic year only, or each student
--     has several rows and is held.
--   Any other (UNIT-e, Maytas, PICS, REMS, Aptem, YETI, Terms, …): nothing is published that we know of. Look for the tables
--     that the ILR is made from: they have LearnRefNumber, ULN, LearnStartDate and LearnPlanEndDate under names like these.
--     If it exports the ILR, use the recipe 'ilr'; if it is in the cloud without a database to read, use 'csv'.

SELECT
    onefile_learners.reference       AS MISID,
    onefile_learners.first_name      AS FirstName,
    onefile_learners.last_name       AS LastName,
    onefile_learners.email           AS Email,
    onefile_learners.class_code      AS ClassroomMISID,        -- or AS ClassroomName
    onefile_learners.employer_code   AS PlacementMISID,        -- or AS PlacementName
    onefile_learners.assessor_code   AS DefaultAssessorMISID,
    onefile_learners.date_of_birth   AS DOB,
    onefile_learners.uln             AS ULN,
    onefile_learners.starts_on       AS StartOn,
    onefile_learners.ends_on         AS PlannedEndDate
FROM onefile_learners
