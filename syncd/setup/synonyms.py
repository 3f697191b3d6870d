"""Names of the columns and tables of an MIS, in the ILR, in the usual products and in spreadsheets.

Names are compared without case, spaces and punctuation, and also without words for the person: ``LearnRefNumber``,
``learn_ref_number`` and ``Learn Ref. Number`` are equal, and ``student_surname`` equals ``surname``.
"""

import re
from functools import lru_cache
from typing import Final

from syncd.setup.profiling import Shape


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: The usual names of each feed column, the surest first.
SPELLINGS: Final[dict[str, tuple[str, ...]]] = {
    name: tuple(spellings.split())
    for name, spellings in {
        "MISID": (
            "misid learnrefnumber learnerrefnumber learnerref learnerreference learnerrefno studentref "
            "studentreference studentrefno studentid studentnumber studentno learnerid learnernumber learnerno "
            "learnercode studentcode personcode personref personid traineeid apprenticeid pupilid refno "
            "referenceno referencenumber reference ref code number idnumber staffid staffcode payrollno id"
        ),
        "FirstName": (
            "firstname forename givennames givenname forenames firstforename firstnames legalforename fname "
            "first preferredforename preferredname knownas"
        ),
        "LastName": "lastname surname familyname familynames legalsurname sname lname last",
        "Email": (
            "email emailaddress collegeemail collegeemailaddress personalemail contactemail primaryemail "
            "homeemail workemail mail emailaddr emailaddress1 email1"
        ),
        "DOB": "dateofbirth dob birthdate birthday borndate dateborn bornon born",
        "ULN": "uln uniquelearnernumber uniquelearnerno uniquelearnno ulnnumber ulnno",
        "NINO": "nino ninumber nationalinsurancenumber nationalinsuranceno nationalinsurance nin ninsno",
        "MobileNumber": (
            "mobile mobilenumber mobileno mobilephone mobilephonenumber mobiletel mobiletelno mobiletelephone "
            "cell cellphone"
        ),
        "Telephone": (
            "telephone telephonenumber telephoneno telno tel phone phonenumber phoneno hometel homephone "
            "hometelephone contactnumber contactno landline"
        ),
        "HomeAddress": "address homeaddress fulladdress postaladdress addresslines",
        "StartOn": (
            "startson startdate learnstartdate starton datestarted started startedon commencedon "
            "commencementdate programmestartdate programmestart coursestartdate coursestart enrolmentstartdate "
            "actualstartdate start enrolmentdate enrolledon dateenrolled"
        ),
        "PlannedEndDate": (
            "plannedenddate learnplanenddate planenddate plannedend expectedenddate expectedend expectedendson "
            "endson plannedcompletiondate expectedcompletiondate targetenddate courseenddate programmeenddate "
            "enddate endon"
        ),
        "L12": "ethnicity ethnicorigin ethnicitycode ethnicgroup ethniccode ethnic",
        "L13": "sex legalsex gender gendercode sexcode",
        "L14": "llddhealthprob lldd llddhealthproblem llddind disabilityindicator considersdisabled",
        "L15": "disability disabilitycode disabilitytype",
        "L16": "learningdifficulty learningdifficultycode learndiff learningdifficultytype",
        "LearnerStatusName": "statusname learnerstatus learnerstatusname onefilestatus",
        "ClassroomMISID": (
            "classroommisid classcode classid classroomcode classroomid groupcode groupid cohortcode cohortid "
            "teachinggroup teachinggroupcode registergroup coursecode courseid programmecode programmeid "
            "offeringcode offeringid uioid occurrencecode classref groupref courseref"
        ),
        "ClassroomName": (
            "classroomname classname class classroom groupname group cohortname cohort coursename coursetitle "
            "course programmename programmetitle programme standardname standard offeringname"
        ),
        "DefaultAssessorMISID": (
            "defaultassessormisid assessorcode assessorid assessorref assessorno assessormisid tutorcode "
            "tutorid tutorref tutorno tutorstaffid tutorstaffcode trainercode trainerid coachid coachcode "
            "skillscoachid leadtutorid leadtutorcode caseloaderid assessor tutor trainer staffcode staffid "
            "staffref"
        ),
        "PlacementMISID": (
            "placementmisid placementcode placementid placementref sitecode siteid employercode employerid "
            "employerref employerno empid workplaceid workplacecode workplacementemployerid companyid "
            "companycode employersiteid organisationid branchid"
        ),
        "PlacementName": (
            "placementname placement employername employer companyname company workplace workplacename sitename "
            "site worksite organisationname"
        ),
        "DefaultEmployerMISID": (
            "defaultemployermisid employercontactcode employercontactid linemanagerid linemanagercode "
            "linemanagerref mentorid mentorcode supervisorid supervisorcode workplacementorid"
        ),
        "Name": (
            "name title description fullname longname shortname companyname employername placementname sitename "
            "classname groupname coursetitle coursename groupdescription classroomname organisationname"
        ),
        "Address": "address fulladdress postaladdress siteaddress",
        "Contact": "contact contactname contactperson maincontact",
        "Active": "isactive active isopen isopened open iscurrent current live islive",
        "Archive": "archive isarchived archived isfinished finished isclosed closed",
    }.items()
}

#: Fields with a distinctive form of values, and those forms.
FORMS: Final[dict[str, frozenset[Shape]]] = {
    "Email": frozenset({Shape.EMAIL}),
    "ULN": frozenset({Shape.ULN}),
    "NINO": frozenset({Shape.NINO}),
    **dict.fromkeys(("DOB", "StartOn", "PlannedEndDate"), frozenset({Shape.DAY, Shape.DAY_FIRST})),
    **dict.fromkeys(("MobileNumber", "Telephone"), frozenset({Shape.MOBILE, Shape.PHONE})),
    **dict.fromkeys(("FirstName", "LastName"), frozenset({Shape.WORDS})),
}
#: The fields that are recognised by their form alone.
TELLING: Final = frozenset({"Email", "ULN", "NINO"})
#: Forms that a key cannot have, whatever its column's name.
NOT_KEYS: Final = frozenset({Shape.DAY, Shape.DAY_FIRST, Shape.EMAIL, Shape.POSTCODE, Shape.FLAG})

#: Columns for the lines of an address.
ADDRESS_LINE: Final = re.compile(
    r"(?:home|perm(?:anent)?|current|term(?:time)?|postal)?"
    r"(?:add(?:ress)?(?:line)?(?P<number>[1-6])|(?P<part>housen(?:ame|umber|o)|street|locality|town|city|county|postcode))"
)
ADDRESS_PARTS: Final = (
    "housename",
    "housenumber",
    "houseno",
    "street",
    "locality",
    "town",
    "city",
    "county",
    "postcode",
)

#: Words for the people or places that a table or a column describes.
LEARNERS: Final = frozenset({"learner", "student", "trainee", "apprentice", "pupil", "candidate", "participant"})
STAFF: Final = frozenset({"staff", "tutor", "assessor", "teacher", "trainer", "lecturer", "employee", "coach"})
EMPLOYERS: Final = frozenset({"employer", "contact", "manager", "mentor", "supervisor"})
OBSERVERS: Final = frozenset({"observer"})
PLACEMENTS: Final = frozenset({"placement", "site", "employer", "workplace", "company", "branch"})
CLASSROOMS: Final = frozenset({"class", "classroom", "group", "cohort", "course", "offering", "programme"})
ENROLMENTS: Final = frozenset({"enrolment", "enrollment", "delivery", "episode", "programme", "registration", "aim"})
PEOPLE: Final = frozenset({"person", "people", "client", "user"})

#: Words for tables whose rows are not, or no longer, current records.
ASIDE: Final = _words(
    "archive archived history historic audit log backup bak old tmp temp import staging deleted applicant "
    "application enquiry enquirer alumni prior previous test"
)
#: Words for people other than the learner, and for former values.
SOMEBODY_ELSES: Final = _words(
    "parent guardian carer kin nok emergency employer manager mentor supervisor company tutor assessor trainer "
    "staff previous prior old former alternative alt school referrer"
)
#: Words that change the meaning of a date: an actual end is not a planned one.
OTHER_DAYS: Final = _words("act actual orig original achieved achievement withdrawn left leaving modified")
_SUBJECTS: Final = LEARNERS | PEOPLE | {"stu", "lrn", "learn"}


@lru_cache(maxsize=65536)
def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name, in lower case."""
    return tuple(word.lower() for word in re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[^\W\d_]+|\d+", name))


def singular(word: str) -> str:
    """Return the singular of a word that may be a plural."""
    for ending, instead in (("sses", "ss"), ("ies", "y"), ("ches", "ch")):
        if word.endswith(ending):
            return word.removesuffix(ending) + instead
    return word.removesuffix("s") if not word.endswith("ss") else word


@lru_cache(maxsize=65536)
def things_of(name: str) -> frozenset[str]:
    """Return the words of a table's name, each in the singular."""
    return frozenset(map(singular, words_of(name)))


def likeness(column: str, field: str, about: frozenset[str] = frozenset()) -> float:
    """Return how well a column's name matches a field, from 0 (not at all) to 1 (certain).

    ``about`` has the words of its table's name: in a table of tutors, ``TutorID`` is equal to ``ID``.
    """
    # Most column names have none of these words, so their cache entry serves every table.
    return _likeness(words_of(column), field, about & things_of(column))


@lru_cache(maxsize=65536)
def _likeness(words: tuple[str, ...], field: str, about: frozenset[str]) -> float:
    spellings = SPELLINGS[field]
    squashed = "".join(words)
    if squashed in spellings:
        return 1 - 0.01 * spellings.index(squashed)
    own = [word for word in words if singular(word) not in _SUBJECTS | about]
    if own and "".join(own) in spellings and len(own) < len(words):
        return 0.95 - 0.01 * spellings.index("".join(own))
    another = (SOMEBODY_ELSES - about).intersection(words)
    if OTHER_DAYS.intersection(words) or any(not any(word in each for each in spellings) for word in another):
        return 0
    # Consecutive words of the name: ContactEmailAddress2.
    runs = {"".join(own[start:end]) for start in range(len(own)) for end in range(start + 1, len(own) + 1)}
    found = [each for each in spellings if len(each) > 2 and each in runs and each not in _TOO_COMMON]
    return 0.6 * max(map(len, found)) / len("".join(own)) if found else 0


#: Words that identify a column only if its name has no other words.
_TOO_COMMON: Final = _words(
    "code number reference ref first last start class group course employer company site tutor assessor trainer "
    "staff name title description address contact current open live active disability born mail tel phone"
)
