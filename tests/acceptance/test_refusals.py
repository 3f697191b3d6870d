"""OneFile says no to one; the others go through, and a person decides when it is tried again."""

import pytest

from tests.support.command import Exit, Syncd
from tests.support.provider.mis import Mis
from tests.support.provider.onefile import OneFile


@pytest.mark.slow
@pytest.mark.parametrize("mis", ["sqlite"], indirect=True)
def test_a_refused_learner_is_held_until_retried(mis: Mis, onefile: OneFile, syncd: Syncd) -> None:
    refused = next(one.learn_ref_number for one in mis.enrolled if one.email and "@" in one.email)
    with onefile.strict():
        mis.correct(refused, family_name="W" * 60)
        done = syncd("sync", "--approve")

        assert done.exit == Exit.SOME_HELD, done.stderr
        assert refused not in onefile.misids
        assert len(onefile.misids) > 50
        (held,) = (one for one in syncd("held", "--json").json if one["misid"] == refused)
        assert held["reason"] == "refused"
        (entry,) = syncd("history", refused, "--json").json
        assert (entry["action"], entry["outcome"], entry["http_status"]) == ("create", "refused", 400)

    with onefile.watched() as calls:
        assert syncd("sync").exit == Exit.SOME_HELD
    assert calls == []

    retried = syncd("retry", refused)
    assert retried.exit == Exit.IN_STEP, retried.stderr
    assert syncd("sync").exit == Exit.SOME_HELD
    assert onefile.misids.count(refused) == 1
    assert refused not in {one["misid"] for one in syncd("held", "--json").json}
    assert [entry["outcome"] for entry in syncd("history", refused, "--json").json].count("applied") == 1
