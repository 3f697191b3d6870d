-- The learners' feed over the tables of an ILR: one row for each learner with a current aim.
--
-- Tables and columns have the names of the DfE's specification of the ILR (Learner, LearningDelivery,
-- LearnerEmploymentStatus), which many MIS products export and the DfE's own tools write. If they are in their own
-- schema, put it before the three names after FROM and JOIN: Valid.Learner. The names after AS are OneFile's.

SELECT
    Learner.LearnRefNumber                  AS MISID,          -- must not be reused, nor changed without need
    Learner.GivenNames                      AS FirstName,
    Learner.FamilyName                      AS LastName,
    Learner.Email                           AS Email,          -- without one a learner is held
    Learner.DateOfBirth                     AS DOB,
    Learner.ULN                             AS ULN,            -- 9999999999 is "none yet"
    Learner.TelNo                           AS Telephone,
    aim.LearnStartDate                      AS StartOn,
    aim.LearnPlanEndDate                    AS PlannedEndDate,
    employment.EmpId                        AS PlacementMISID  -- the placements in OneFile have it as their MISID

    -- An ILR has neither the class nor the assessor: set defaults for all learners in [defaults] of syncd.toml. If your
    -- MIS keeps them in its own table, join it, and add a column AS ClassroomMISID and one AS DefaultAssessorMISID.
    -- Some providers keep their code of the course in ProviderSpecDeliveryMonitoring, as ProvSpecDelMon.

    -- Special-category data and a national number: remove the dashes before the commas only if you must send them:
    -- , Learner.NINumber       AS NINO
    -- , Learner.Ethnicity      AS L12
    -- , Learner.Sex            AS L13
    -- , Learner.LLDDHealthProb AS L14
    -- On SQL Server, the address can be sent like this:
    -- , CONCAT_WS(CHAR(10), Learner.AddLine1, Learner.AddLine2, Learner.AddLine3, Learner.AddLine4, Learner.Postcode)
    --                          AS HomeAddress

FROM Learner

-- Of all aims of a learner, the programme (AimType 1), or else the latest one, if it continues or is on a break:
-- CompStatus 1 or 6. A learner without such an aim is a leaver; [leavers] in syncd.toml says what happens to the account.
JOIN (
    SELECT LearnRefNumber, LearnStartDate, LearnPlanEndDate,
           ROW_NUMBER() OVER (
               PARTITION BY LearnRefNumber
               ORDER BY CASE AimType WHEN 1 THEN 0 ELSE 1 END, LearnStartDate DESC, AimSeqNumber
           ) AS place
    FROM LearningDelivery
    WHERE CompStatus IN (1, 6)
) aim ON aim.LearnRefNumber = Learner.LearnRefNumber AND aim.place = 1

-- Of all employers of a learner, the latest.
LEFT JOIN (
    SELECT LearnRefNumber, EmpId,
           ROW_NUMBER() OVER (PARTITION BY LearnRefNumber ORDER BY DateEmpStatApp DESC) AS place
    FROM LearnerEmploymentStatus
) employment ON employment.LearnRefNumber = Learner.LearnRefNumber AND employment.place = 1
