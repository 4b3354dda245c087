"""Request -> words -> request, over random requests."""

import random

import pytest
from pydantic import ValidationError

from prompts import CaseRequest, FindingRequest, TargetRequest, parse, unread, wordings, write
from prompts.sampler import SETS, draw
from prompts.vocabulary import KIND_ORGANS, Dose, FindingKind, Invasion, Organ, Phase, Region, Segment, Sex, Shape, Side

_VOLUME_TOLERANCE = 0.005  # wordings round volumes to three digits


def requests(name: str, n: int) -> list[CaseRequest]:
    return [draw(random.Random(seed), name=name) for seed in range(n)]


def contradictions(got: CaseRequest, asked: CaseRequest) -> list[str]:
    """Whatever `got` says that `asked` does not."""
    fields = ("region", "phase", "sex", "age", "habitus", "extent")
    wrong = [f"{f}: {getattr(got, f)}" for f in fields if getattr(got, f) not in (None, getattr(asked, f))]
    wrong += [str(f) for f in got.findings if not any(_part_of(f, g) for g in asked.findings)]
    wrong += [str(t) for t in got.targets if not any(_part_of(t, u) for u in asked.targets)]
    wrong += sorted(set(got.absent) - set(asked.absent))
    if len(got.findings) > len(asked.findings) or len(got.targets) > len(asked.targets):
        wrong.append("more than was asked")
    return wrong


def _part_of(part: FindingRequest | TargetRequest, whole: FindingRequest | TargetRequest) -> bool:
    for field in type(part).model_fields:
        a, b = getattr(part, field), getattr(whole, field)
        same = a == b or (field == "volume_ml" and b is not None and a == pytest.approx(b, rel=_VOLUME_TOLERANCE))
        if a is not None and not same:
            return False
    return True


@pytest.mark.parametrize("name", SETS)
def test_canonical_sentence_reads_back(name: str) -> None:
    for request in requests(name, 150):
        text = write(request)
        assert parse(text).model_copy(update={"prompt": ""}) == request, text


@pytest.mark.parametrize("name", SETS)
def test_wordings_never_contradict_their_request(name: str) -> None:
    for seed, request in enumerate(requests(name, 60)):
        for text in wordings(request, random.Random(seed), 5):
            assert contradictions(parse(text), request) == [], text
            assert unread(text) == (), text


@pytest.mark.parametrize(
    "request_",
    [
        CaseRequest(targets=(TargetRequest(dose_gy=Dose.GY70, volume_ml=123.456789),)),
        CaseRequest(targets=(TargetRequest(dose_gy=Dose.GY56, volume_ml=0.00012, side=Side.MIDLINE),)),
        CaseRequest(findings=(FindingRequest(kind=FindingKind.STONE, organ=Organ.GALLBLADDER, size_mm=0.3),)),
        CaseRequest(findings=(FindingRequest(kind=FindingKind.CYST, organ=Organ.BONE, side=Side.LEFT, count=20),)),
        CaseRequest(findings=(FindingRequest(kind=FindingKind.METASTASIS, organ=Organ.BONE, side=Side.MIDLINE),)),
        CaseRequest(
            findings=(FindingRequest(kind=FindingKind.TUMOUR, organ=Organ.STOMACH, shape=Shape.WALL_THICKENING),),
            absent=("metal artefact", "liver metastasis", "nodule"),
        ),
        CaseRequest(region=Region.TORSO, phase=Phase.DELAYED, sex=Sex.FEMALE, age=0),
    ],
)
def test_corners_read_back(request_: CaseRequest) -> None:
    assert parse(write(request_)).model_copy(update={"prompt": ""}) == request_


@pytest.mark.parametrize("kind", FindingKind)
@pytest.mark.parametrize("organ", Organ)
def test_every_kind_in_every_organ_reads_back(kind: FindingKind, organ: Organ) -> None:
    if organ not in KIND_ORGANS.get(kind, Organ):
        with pytest.raises(ValidationError, match="say it in the"):
            FindingRequest(kind=kind, organ=organ)
        return
    for count in (1, 2, 13, None):
        for invasion in (None, *Invasion):
            request = CaseRequest(findings=(FindingRequest(kind=kind, organ=organ, count=count, invasion=invasion),))
            assert parse(write(request)).findings == request.findings


@pytest.mark.parametrize("side", [None, Side.LEFT, Side.RIGHT, Side.BILATERAL])
@pytest.mark.parametrize("organ", [Organ.LUNG, Organ.KIDNEY, Organ.LIVER, Organ.MUSCLE, Organ.BONE])
def test_every_place_reads_back(organ: Organ, side: Side | None) -> None:
    for segment in (None, *Segment):
        try:
            finding = FindingRequest(kind=FindingKind.MASS, organ=organ, side=side, segment=segment)
        except ValidationError:
            continue
        assert parse(write(CaseRequest(findings=(finding,)))).findings == (finding,)


def test_wordings_are_many_different_and_repeatable() -> None:
    request = CaseRequest(
        region=Region.HEAD_NECK, phase=Phase.NON_CONTRAST, targets=(TargetRequest(dose_gy=Dose.GY70, side=Side.LEFT),)
    )
    texts = wordings(request, random.Random(3), 40)
    assert len(texts) == 40 and len(set(texts)) == 40
    assert texts == wordings(request, random.Random(3), 40)
    assert any(not parse(t).targets for t in texts), "some wordings say only a part"
    assert sum(parse(t).targets == request.targets for t in texts) >= 20, "most say all of it"


def test_a_request_with_little_to_say_still_gives_n_wordings() -> None:
    assert len(wordings(CaseRequest(), random.Random(0), 30)) == 30


@pytest.mark.parametrize("name", SETS)
def test_draws_differ_by_seed_and_repeat_with_it(name: str) -> None:
    first = requests(name, 40)
    assert first == requests(name, 40)
    assert len({r.model_dump_json() for r in first}) > 30


def test_draw_keeps_the_region() -> None:
    for seed in range(20):
        assert draw(random.Random(seed), region="abdomen").region is Region.ABDOMEN
    with pytest.raises(ValueError, match="'pelvis'"):
        draw(random.Random(0), region="pelvis")
    with pytest.raises(ValueError, match="'spork'"):
        draw(random.Random(0), name="spork")


@pytest.mark.parametrize(
    "fields",
    [
        {"size_mm": 0},
        {"size_mm": -3},
        {"size_mm": 301},
        {"size_mm": float("nan")},
        {"count": 0},
        {"segment": "middle", "side": "left"},
        {"segment": "6"},
        {"colour": "red"},
        {"organ": "spork"},
    ],
)
def test_invalid_findings_cannot_be_built(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FindingRequest.model_validate({"kind": "nodule", "organ": "lung", **fields})


def test_requests_are_frozen_and_survive_json() -> None:
    request = draw(random.Random(1), name="findings")
    assert CaseRequest.model_validate_json(request.model_dump_json()) == request
    with pytest.raises(ValidationError):
        request.age = 3
