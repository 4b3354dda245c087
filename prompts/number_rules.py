"""The table by which numbers are typed: at each place of a text the rule that stands first.

A rule is a pattern, what a match means, and fragments of which a sentence has at least one where the rule can match.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from prompts.number_means import (
    GAP,
    MM,
    NUMBER,
    SIGNED,
    WORDED,
    WORDED_AGE,
    Means,
    axes,
    axes_with_unit,
    centigray,
    count,
    degrees,
    doses,
    earlier,
    fraction,
    grown,
    grown_or_range,
    length,
    length_range,
    lengths_listed,
    months,
    named_person,
    neck_level,
    person,
    ptv,
    ratio,
    read_alone,
    ribs,
    segments,
    share,
    stage,
    station,
    vertebra,
    volumes,
    worded,
    worded_age,
)

Rule = tuple[str, Callable[[re.Match[str]], Means], tuple[str, ...]]

_AND = r"\s*(?:,\s*and|,\s|/|and|&)\s*"
_BY = r"\s*(?:x|by|\*)\s*"
_ML = r"(?:ml|cc|ccm|cm3|cm\^3|cm\s3|millilit(?:er|re)s?|cubic\s+centimet(?:er|re)s?)(?![a-z\d])"
_NAMED = r"(?:\s*\([^()\d]{0,14}\))?"  # "20 mm (AP) x 30 mm"
_AXES = rf"{SIGNED}{GAP}{MM}{_NAMED}(?:{_BY}{NUMBER}{GAP}(?:{MM})?{_NAMED}){{1,2}}"
_PART = r"(?:viii|vii|vi|iv|ix|v|iii|ii|i|10|[1-9])[ab]?(?!\w|\.\d|[\s-]*(?:[cm]m\b|years?|yrs?|y/?o))"
_TH = r"(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth)"
_NTH = rf"(?:\d{{1,2}}(?:st|nd|rd|th)|{_TH})"
_ORDINAL = rf"(?:(?:1[0-2]|[1-9])(?:st|nd|rd|th)?|{_TH})(?!\d|\.\d|\s*(?:hu|[cm]m|ml)\b)"
_RIBS = rf"{_ORDINAL}(?:\s*(?:-|/|and|&|to|through|,)\s*{_ORDINAL})*"
_SIDED = r"(?:1[0-4]|[1-9])[rl][si]?"  # a station of the IASLC map
_STATION = r"(?:1[0-4]|[1-9])(?:[rl][si]?|[ap])?"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_NOT_A_DOSE = rf"(?![\d.]*\d|[\s-]*(?:{MM}|{_ML}|years?|yrs?|y/?o|x\b))"
_DOSE = rf"[1-9]\d{_NOT_A_DOSE}"
_GY = r"(?:[\s-]*(?:gy|grays?))?"
_AGE = r"(?P<age>-?\s?\d{1,3})"
_SEX = r"(?:\W{0,2}(?P<sex>[mf])\b)?"
_UNITS = "mm cm millim centim inch in. um micro"


def _rule(
    pattern: str, read: Callable[[re.Match[str]], Means], left: str = r"(?<![\w.])(?<!\d,)", needs: str = ""
) -> Rule:
    """`needs`: fragments in lower case, one of which is in every match or beside it; none: it is always tried."""
    return rf"{left}(?:{pattern})(?!\w)", read, tuple(needs.split())


_BOUND = (
    r"(?P<bound>(?:not\s+exceeding|not\s+larger\s+than|no\s+(?:larger|more)\s+than|"
    r"none\s+(?:exceeding|larger\s+than|over)|"
    r"(?:less|smaller|more|larger|greater|bigger)\s+than|(?:up\s+to|reaching|reaches|"
    r"maximum(?:\s+of)?|max\.?|under|below|"
    r"over|exceeding|at\s+least|at\s+most|above)|[<>]=?))\s*(?:(?:a|an|about|approximately|approx\.?|"
    r"of|in\s+diameter|~)\s*){0,2}"
)
_SECTION = (
    r"(?:slices?|slice\s+thickness|sections?|section\s+thickness|spacing|voxels?|"
    r"thick(?:\s+(?:slices?|sections?))?(?![\s-]*wall)|collimation|intervals?|cuts?|reconstruction\w*)"
)
_PEOPLE = "(?:man|male|gentleman|boy|woman|female|lady|girl)"
RULES = (
    # dates and times
    _rule(
        (
            rf"\d{{1,2}}[./-]\d{{1,2}}[./-]\d{{2,4}}|\d{{4}}[./-]\d{{1,2}}[./-]\d{{1,2}}|"
            rf"\d{{1,2}}\.?\s+{_MONTH}\.?,?\s+\d{{4}}|{_MONTH}\.?\s+\d{{1,2}},?\s+\d{{4}}|"
            rf"{_MONTH}\.?,?\s+(?:19|20)\d\d|(?:in|since|of|from|dated?)\s+(?:19|20)\d\d"
        ),
        read_alone,
    ),
    _rule(r"\d{1,2}:\d{2}\s*(?:am|pm|h)", read_alone, needs=":"),
    _rule(
        (
            r"\d+\s*(?:days?|weeks?|wks?|mo|months?|hours?|hrs?|min(?:ute)?s?)(?:\s+(?:ago|earlier|later|"
            r"prior|interval|follow-?\s?up|old\s+study|post\w*))?(?![\s-]+old)"
        ),
        read_alone,
        needs="day week wk mo hour hr min",
    ),
    _rule(
        rf"sum\s+of\s+(?:the\s+)?(?:longest\s+)?diameters?\s*[:=]?\s*(?:is\s+)?{NUMBER}{GAP}{MM}",
        read_alone,
        needs="sum",
    ),
    _rule(
        r"(?:non-?\s?)?target(?:\s+lesions?)?\s+(?:no\.?\s*)?\d{1,2}(?=\s*[:.,(-])",
        lambda m: {"label": True},
        needs="target",
    ),
    _rule(r"[1-5][\s-]*phases?|[1-5][\s-]*phasic", read_alone, needs="phas"),
    _rule(r"n?tl\s?[-#]?\s?\d{1,2}(?=\W)", lambda m: {"label": True}, needs="tl"),
    _rule(r"\d+(?:\.\d+)?[\s-]*(?:py|pack[\s-]*(?:years?|yrs?))", read_alone, needs="py pack"),
    _rule(r"\d{1,2}(?::\d{2})?(?:\s*-\s*\d{1,2}(?::\d{2})?)?\s*o'?\s?clock(?:\s+position)?", read_alone, needs="clock"),
    _rule(
        r"\d+(?=[\s-]+(?:(?:different|separate|random|synthetic|more)\s+)?"
        r"(?:cts|ct\s+scans?|scans?|volumes?|patients?|cases?|studies|examples?|samples?)(?!\w))",
        read_alone,
        needs="cts scan volume patient case studies example sample",
    ),
    # where in the study
    _rule(
        rf"stations?\s+(?P<list>{_STATION}(?:\s*(?:[-/,]|,?\s*and)\s*{_STATION}(?!\s*[cm]m))*)",
        station,
        needs="station",
    ),
    _rule(
        rf"levels?\s+(?P<list>{_SIDED}(?:\s*(?:[-/,]|,?\s*and)\s*{_SIDED})*|(?:[89]|1[0-4])(?!\s*[cm]m))",
        station,
        needs="level",
    ),
    _rule(
        rf"(?P<list>{_SIDED}|[5-9])(?=\s+\d+(?:\.\d+)?(?:\s*x\s*\d+(?:\.\d+)?)?\s*[cm]m)",
        station,
        left=r"(?:(?<=[:,;] )|(?<=and )|(?<=nodes )|(?<=node ))",
        needs="node lymph ln",
    ),
    _rule(
        rf"(?P<list>{_SIDED}|3[ap])(?=\s*(?:station|nodes?\b|lns?\b|lymph|:|\)))",
        station,
        needs="station node ln lymph : )",
    ),
    _rule(
        rf"(?P<list>{_SIDED})(?!\s*[cm]m)",
        station,
        left=r"(?:(?<=node )|(?<=nodes )|(?<=ln )|(?<=lns ))",
        needs="node ln",
    ),
    _rule(r"(?P<list>[5-9]|1[0-4])(?=\s+(?:station|(?:lymph\s+)?(?:node|ln)\b))", station, needs="station node ln"),
    _rule(
        (
            r"(?:series|ser|se|image|images|img|im|ima|slice|slices|frame)\.?\s*(?:no\.?|number|#|"
            r":)?\s*\d+(?:\s*[-/,]\s*\d+)*(?!\s*[cm]m)"
        ),
        read_alone,
        needs="se im sl frame",
    ),
    _rule(
        r"\(?\d{1,3}\s?[:/]\s?\d{2,4}\)?(?=\W|$)(?!\s*(?:[cm]m|x\b|by\b))", read_alone, left=r"(?<![\w./])", needs=": /"
    ),
    _rule(r"\d{1,3}:\d{1,4}", read_alone, needs=":"),
    # classifications
    _rule(
        (
            r"(?:bosniak|li-?\s?rads|lr|lung-?\s?rads|bi-?\s?rads|pi-?\s?rads|ti-?\s?rads|o-?\s?rads|c-?rads|cad-?\s?rads|"
            r"co-?rads|figo|birads|tirads|stanford|debakey|aast|child-pugh|child(?=[\s:-]*(?:class|grade)?[\s:-]*[abc](?!\w))|ajcc|ishak|siewert|bclc|forrest|hinchey|"
            r"balthazar|category|cat)[\s:-]*(?:category|class|type|grade|score|stage)?[\s:-]*(?:\d[a-z]?|"
            r"[ivx]+[abcf]?|[a-dm]|tr(?:\s+viable)?|tr-?m|2f)"
        ),
        stage,
        needs="bosniak rads lr figo stanford debakey aast child ajcc ishak siewert bclc forrest hinchey balthazar cat",
    ),
    _rule(
        r"(?:fleischner|agatston|gleason|ecog|ctsi|aspects|cac|calcium|nihss|meld|hurley|balthazar)[\s:-]*"
        r"(?:score|category|class|grade|stage|criteria|index|guidelines?)?[\s:-]*(?:of\s+|=\s*)?(?:\d+(?:\.\d+)?|[a-d])\b|"
        r"fleischner(?:\s+(?:category|criteria|guidelines?))?|(?:agatston|hurley)\s+(?:score|stage)",
        stage,
        needs="fleischner agatston gleason ecog ctsi aspects cac calcium nihss meld hurley balthazar",
    ),
    _rule(r"t[1-4][a-d]", stage, needs="t1 t2 t3 t4"),
    _rule(r"(?:stage|grade|type)[\s:-]*(?:[ivx]+[abc]?|\d[abc]?|[abc])", stage, needs="stage grade type"),
    _rule(
        (
            r"[cpyr]{0,2}t[0-4x][a-d]?(?:\s*,?\s*n[0-3x][abc]?(?:\s*,?\s*m[01x][abc]?)?)|"
            r"(?!ptx\b)[cpyr]{1,2}t[0-4x][a-d]?|n[0-3][abc]?\s*m[01x][abc]?"
        ),
        stage,
        needs="t0 t1 t2 t3 t4 tx n0 n1 n2 n3",
    ),
    _rule(
        r"levels?\s+(?:[1-7]|[ivx]+)[ab]?(?:\s*(?:[-/,]|and|to)\s*(?:[1-7]|[ivx]+)[ab]?)*", neck_level, needs="level"
    ),
    # what the scanner did, and how bright
    _rule(
        (
            rf"{SIGNED}\s*(?:(?:-|to|/|,|and)\s*{SIGNED}\s*)?(?:hu|hounsfield(?:\s+units?)?|"
            rf"h\.u\.)(?:\s*\(?\s*sd\s*{SIGNED}\)?)?"
        ),
        read_alone,
        left=r"(?<![\w.])",
        needs="hu hounsfield h.u.",
    ),
    _rule(
        (
            rf"(?:hu|hounsfield(?:\s+units?)?|density|attenuation|suv(?:max)?|adc|psa|ctdi\w*|dlp|sd|"
            rf"ca\s*19-9|bmi|gfr|pitch)\s*(?:of|:|=|is|was|about|approximately|"
            rf"values?)?\s*{SIGNED}(?!\s*[cm]m)"
        ),
        read_alone,
        needs="hu hounsfield density attenuation suv adc psa ctdi dlp sd ca bmi gfr pitch",
    ),
    _rule(
        rf"(?:kvp?|kev|mas?|tube\s+(?:voltage|current))\s*[:=]?\s*{NUMBER}(?!\s*[cm]m)",
        read_alone,
        needs="kv kev ma tube",
    ),
    _rule(
        (
            rf"{NUMBER}\s*(?:kvp?|kev|mas?|mgy(?:[*.\s-]?cm)?|msv|ms|fr|french|gauge|g|kg|lbs?|mmhg|mg|ug|mmol|"
            rf"bpm|ph|x\s*magnification)(?![a-z])"
        ),
        read_alone,
    ),
    (rf"(?<![\w.])(?P<n>{NUMBER})\s*(?:%|percent\b)(?:\s+of)?", share, ("%", "percent")),
    _rule(
        r"(?:with\s+an?\s+|with\s+)?(?:cardio-?\s?thoracic\s+(?:ratio|index)|ctr)\s*(?:of|=|:|is)?\s*(?P<n>0?\.\d+)",
        ratio,
        needs="thoracic ctr",
    ),
    _rule(
        (
            rf"(?:contact\s+(?:with|of)\s+)?(?:about\s+|approximately\s+|less\s+than\s+|more\s+than\s+|"
            rf"[<>]=?\s*)?(?P<n>{NUMBER})\s*(?:degrees?|deg)(?:\s+of\s+contact)?"
        ),
        degrees,
        needs="deg",
    ),
    _rule(
        (rf"{NUMBER}{GAP}{MM}[\s-]+{_SECTION}|{_SECTION}(?:\s+(?:thickness|of|is|was|:|=))*\s*{NUMBER}{GAP}{MM}"),
        lambda m: {"spacing": True},
        needs="slice section spacing voxel thick collimation interval cut reconstruction",
    ),
    _rule(
        rf"voxel\s+spacing\s+{NUMBER}(?:{_BY}{NUMBER})*\s*mm|field\s+of\s+view\s+{NUMBER}(?:{_BY}{NUMBER})*\s*mm",
        read_alone,
        needs="voxel field",
    ),
    # radiotherapy
    *(
        _rule(rf"{numbers}[\s-]*(?:gy|grays?)", doses, needs="gy gray")
        for numbers in (rf"{NUMBER}(?:{_AND}{NUMBER})+", SIGNED)
    ),
    *(
        _rule(rf"{numbers}[\s-]*(?:cgy|centigrays?)", centigray, needs="cgy centigray")
        for numbers in (rf"{NUMBER}(?:{_AND}{NUMBER})+", SIGNED)
    ),
    _rule(rf"ptvs?[\s_-]*{_DOSE}(?:/(?:ptv)?{_DOSE})+{_GY}", ptv, needs="ptv"),
    _rule(rf"ptvs?\s+(?:of\s+)?{_DOSE}(?:\s*(?:,\s*and|,|/|and|&)\s*{_DOSE})+{_GY}", ptv, needs="ptv"),
    _rule(rf"ptvs?[\s_-]*(?:of\s+)?\(?{_DOSE}{_GY}", ptv, needs="ptv"),
    # the patient
    _rule(
        (
            rf"{_AGE}[\s-]*(?:years?|yrs?|yr|y/?o|y\.o\.|yo|y\.?/o\.?|jahre|ans)(?:[\s-]*(?:olds?|"
            rf"of\s+age))?(?:,?[\s-]*(?P<sex>[mf])\b)?"
        ),
        person,
        left=r"(?<![\w.])",
    ),
    _rule(
        rf"(?P<word>{_PEOPLE}),?\s+(?P<age>\d{{1,3}})(?=[\s,.;]|$)(?!\s*(?:[cm]m|x|years?|yrs?))",
        named_person,
        needs="man male boy lady girl",
    ),
    _rule(rf"(?P<words>{WORDED_AGE})[\s-]+year(?:s|[\s-]+old)", worded_age, left=r"(?<![\w-])", needs="year"),
    _rule(rf"aged?:?\s*{_AGE}(?:\s*(?:years?|yrs?|y))?", person, needs="age"),
    _rule(r"(?P<age>\d{1,3})[\s-]*(?:months?|mo)[\s-]*old", months, needs="mo"),
    _rule(rf"{_AGE}\s?y(?=\W|$)", person, left=r"(?<![\w.])"),
    _rule(rf"{_AGE}\s?y?(?:/|\s)?(?P<sex>[mf])(?=\W|$)", person, left=r"(?<![\w.])"),
    _rule(r"(?P<sex>[mf])\s?/?\s?(?P<age>\d{2})(?!\s*[cm]m|[\d.])", person),
    # segments of liver and lung, and vertebrae
    _rule(
        (
            rf"(?P<of>couinaud\s+|hepatic\s+|liver\s+|lung\s+|pulmonary\s+)?(?:segments?|segs?\.?)\s*:?\s*(?:no\.?|number|#)?\s*"
            rf"(?P<list>{_PART}(?:\s*(?:,\s*and|,|/|and|&|-|to|or|\+)\s*{_PART})*)"
        ),
        segments,
        needs="seg",
    ),
    _rule(
        r"(?:segments?|segs?\.?)\s*:?\s*(?P<list>(?:one|two|three|four|five|six|seven|eight|nine|ten)(?:\s*(?:,|/|and)\s*"
        r"(?:one|two|three|four|five|six|seven|eight|nine|ten))*)",
        segments,
        needs="seg",
    ),
    _rule(
        r"(?P<side>[rl])\s?(?P<bronchus>[sb])\s?(?P<list>(?:10|[1-9])(?:\s*[/+]\s*(?:10|[1-9]))?)[a-c]?(?![\d.])",
        segments,
    ),
    _rule(r"(?P<bronchus>b)(?P<list>10|[1-9])[a-c]?(?![\d.])", segments, needs="b1 b2 b3 b4 b5 b6 b7 b8 b9"),
    _rule(
        r"(?:vertebrae?_)?(?P<level>[ctld]\s?\d{1,2}(?:\s*(?:-|/|,?\s*and|to|,)\s*(?:[ctlds]\s?\d{1,2}|\d{1,2}\b(?!\s*%)))*)(?!\s*[cm]m)",
        vertebra,
    ),
    _rule(
        r"(?<!vertebra )s(?P<list>(?:10|[1-9])[ab]?(?:\s*[/+]\s*s?(?:10|[1-9])[ab]?)?)(?![\d.])",
        segments,
        needs="s1 s2 s3 s4 s5 s6 s7 s8 s9",
    ),
    _rule(r"s(?P<list>viii|vii|vi|iv|iii|ii)", segments, needs="svi sii siv"),
    _rule(r"(?P<list>(?:viii|vii|vi|iv|v|iii|ii))(?=\s+segments?)", segments, needs="seg"),
    _rule(
        r"(?:vertebrae?_)?(?P<level>s1)(?!\s*[cm]m)",
        vertebra,
    ),
    _rule(
        rf"(?:(?:left|right)\s+)?(?P<list>{_ORDINAL}\s*(?:-|to|/|,)\s*{_RIBS})(?!\s*[cm]m)",
        ribs,
        left=r"(?:(?<=rib fractures )|(?<=rib fracture )|(?<=ribs fractures ))",
        needs="rib",
    ),
    _rule(
        rf"ribs?[\s_]+(?:(?:left|right)[\s_]+)?(?:no\.?\s*)?(?:\(\s*(?P<bracketed>{_RIBS})\s*\)|(?P<list>{_RIBS})(?!\s*[cm]m))",
        ribs,
        left=r"(?<!\w)",
        needs="rib",
    ),
    _rule(
        r"(?P<count>\d{1,2})(?=\s+(?:(?:displaced|old|healed|acute|left|right|anterior|posterior|lateral)\s+){0,2}"
        r"(?:rib\s+(?:fractures|fxs?)|ribs\s+(?:fractured|broken)|(?:fractured|broken)\s+ribs))",
        count,
        left=r"(?<![\w.,/-])(?<!and )(?<!to )(?<!\d, )(?<!rib )(?<!ribs )",
        needs="rib",
    ),
    _rule(
        rf"(?P<list>{_RIBS})(?=\s+(?:(?:left|right|anterior|posterior|lateral)\s+){{0,2}}ribs?\b)", ribs, needs="rib"
    ),
    _rule(
        rf"{_NTH}(?:\s*(?:,|and|to|through|-|/)\s*{_NTH})*(?=\s+(?:left\s+|right\s+)?(?:cervical|thoracic|dorsal|lumbar|sacral))",
        read_alone,
        needs="cervical thoracic dorsal lumbar sacral rib costal",
    ),
    _rule(
        rf"{NUMBER}\s*c?m\s+(?:tall|in\s+height)|(?:height|weight|bmi)\s*[:=]?\s*{NUMBER}\s*(?:cm|m|kg|lbs?)?",
        read_alone,
        needs="tall height weight bmi",
    ),
    # volumes and lengths
    _rule(
        r"(?:(?P<whole>\d)[\s-]+)?(?P<over>\d)/(?P<under>[2-9]|16)[\s-]*(?P<unit>inch(?:es)?|in\b\.?)",
        fraction,
        left=r"(?<![\w./])",
        needs="/",
    ),
    _rule(
        r"(?:(?P<whole>\d)[\s-]+)?(?P<over>1(?=/[24])|3(?=/4))/(?P<under>[24])[\s-]*(?P<unit>cms?|centimet(?:er|re)s?)",
        fraction,
        left=r"(?<![\w./])",
        needs="/",
    ),
    _rule(
        rf"(?P<words>{WORDED}(?:\s*(?:x|by|times|(?P<to>to))\s*{WORDED}){{0,2}})[\s-]+(?P<unit>{MM})",
        worded,
        needs=_UNITS,
    ),
    *(
        _rule(rf"{numbers}[\s-]*{_ML}", volumes, needs="ml cc cm milli cubic")
        for numbers in (rf"{NUMBER}(?:{_AND}{NUMBER})+", r"[1-9]\s\d{3}", SIGNED)
    ),
    _rule(
        rf"(?P<axes>{NUMBER}(?:{_BY}{NUMBER}){{1,2}})(?:\s*,?\s*(?P<unit>{MM})|\s*\(\s*(?P<apart>{MM})\s*\))",
        axes_with_unit,
        needs=_UNITS,
    ),
    _rule(
        rf"\(\s*(?:was|prev(?:ious(?:ly)?)?\.?|formerly|prior|baseline|nadir|bl)\s*:?\s*(?P<n>{NUMBER}(?:{_BY}{NUMBER})?{GAP}{MM})\s*\)",
        earlier,
        left="",
        needs="(",
    ),
    _rule(_AXES, axes, needs=_UNITS),
    _rule(
        rf"(?:creased|grown|shrunk|enlarged|progressed|regressed|reduced|changed|went)\s+(?:in\s+size\s+)?from\s+"
        rf"(?P<low>{NUMBER})\s*(?P<lunit>{MM})?\s+to\s+(?P<high>{NUMBER}){GAP}(?P<unit>{MM})",
        grown,
        left="",
        needs="from",
    ),
    _rule(
        rf"from\s+(?P<low>{NUMBER})\s*(?P<lunit>{MM})?\s+to\s+(?P<high>{NUMBER}){GAP}(?P<unit>{MM})",
        grown_or_range,
        needs="from",
    ),
    _rule(
        rf"(?P<low>{NUMBER})\s*(?P<lunit>{MM})?\s*(?:-|to)\s*(?P<high>{NUMBER}){GAP}(?P<unit>{MM})",
        length_range,
        needs=_UNITS,
    ),
    _rule(
        rf"between\s+(?P<low>{NUMBER})\s*(?P<lunit>{MM})?\s*and\s*(?P<high>{NUMBER}){GAP}(?P<unit>{MM})",
        length_range,
        needs="between",
    ),
    _rule(rf"{NUMBER}(?:{_AND}{NUMBER})+{GAP}{MM}", lengths_listed, needs=_UNITS),
    _rule(
        rf"(?P<unit>{MM})[)\]]?\"?\s*[:=]\s*[\"\[]?(?P<axes>{NUMBER}(?:{_BY}{NUMBER}){{0,2}})",
        axes_with_unit,
        left=r"(?<![a-z])",
        needs=_UNITS,
    ),
    _rule(rf"(?:{_BOUND})?(?P<n>{SIGNED}{GAP}{MM})", length, left=r"(?<![\w.])(?<!\d,)", needs=_UNITS),
    _rule(r"(?P<count>\d{1,3})\s*x(?=\s+[a-z])", count, needs="x"),
    _rule(
        r"x\s?(?P<count>\d{1,2})(?!\s*(?:[cm]m|x)|[.,]?\d)",
        count,
        left=r"(?:(?<=[a-z]\s)|(?<=\()|(?<=[a-z]\s\s)|(?<=[a-z]\s\s\s))",
        needs="x",
    ),
    # what is left: counts and numbers of a list
    _rule(
        r"(?P<count>\d{1,2})(?=\s*(?:$|[.,;)]))",
        count,
        left=r"(?:(?<=mets )|(?<=metastases )|(?<=nodules )|(?<=lesions )|(?<=cysts )|(?<=stones ))",
        needs="mets metastases nodules lesions cysts stones",
    ),
    _rule(r"(?P<count>\d{1,2})\s+in\s+(?:number|total)", count, needs="number total"),
    _rule(r"\(?\bn\s*=\s*(?P<count>\d{1,2})\)?(?!\d)", count, left="", needs="="),
    _rule(
        r"\((?P<count>\d{1,2})\)", count, left=r"(?:(?<=[a-z]\s)|(?<=[a-z])|(?<=[a-z]\s\s)|(?<=[a-z]\s\s\s))", needs="("
    ),
    _rule(
        r"\d{1,2}[.)](?=\s+(?:[A-Za-z]|\d+(?:[.,]\d+)?\s?(?:[cm]m|x\s?\d|-\s?\d)))(?!\s*[cm]m\b)",
        read_alone,
        left=r"(?:(?<=^)|(?<=[\n.:;] )|(?<=\n)|(?<=\())",
    ),
    _rule(r"#\s*\d+", read_alone, left="", needs="#"),
    _rule(
        r"\d{1,2}\s?(?:-|to)\s?\d{1,2}(?=\s+[a-z])(?!\s+(?:m|in|with|on|at)\b)",
        lambda m: {"count": "several"},
        needs="- to",
    ),
    _rule(
        r"(?<!covid[\s-])(?<!covid)(?P<count>\d{1,3})(?=[\s-]+[a-z])(?![\s-]*(?:x|m|in|kvp?|mas|is|was|and|to|or|of|with|on|at|by|from|for)\b)",
        count,
    ),
)
