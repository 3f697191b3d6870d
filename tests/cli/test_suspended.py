"""What the commands say while an action is suspended."""

import json
from dataclasses import replace

from tests.cli.conftest import College, Syncd


def test_commands_say_what_is_suspended_and_how_much_is_queued(college: College, syncd: Syncd) -> None:
    world = college.onefile.world
    learners = sum(user.role == 1 for user in world.users.values())
    world.switches = replace(world.switches, seats=learners + 10)
    done = syncd("sync", "--approve")
    assert done.exit == 4
    assert "queued, because OneFile refuses such changes: see 'syncd status'" in done.words

    (suspended,) = json.loads(syncd("status", "--json").stdout)["suspended"]
    assert (suspended["role"], suspended["action"]) == ("Learner", "create")
    assert suspended["queued"] > 0
    sentence = f"creates of learners are suspended, because OneFile refuses them ({suspended['reason']})"
    assert sentence in syncd("status").words
    assert f"Not held, but not sent: {sentence}" in syncd("held").words

    assert syncd("sync").exit == 4
    world.switches = replace(world.switches, seats=0)
    resumed = syncd("sync")
    assert f"{suspended['queued']} created" in resumed.words
    assert json.loads(syncd("status", "--json").stdout)["suspended"] == []
    assert "suspended" not in syncd("status").words
