"""Questions against a server that does everything wrong: in time, nothing lost, and no memory kept."""

import pytest

from tests.fuzz.chaos_run import ChaosReport, chaos_process, run


def checked(report: ChaosReport, questions: int) -> ChaosReport:
    assert report.done == questions
    assert not report.late, f"slowest {report.slowest:.1f} s"
    assert not report.lost, report.lost
    return report


def test_a_few_questions() -> None:
    report = checked(run(20, seconds=5, concurrency=4, stand_in=True), 20)
    assert report.outcomes["answered"] > 0


def test_the_server_serves_in_a_process_of_its_own() -> None:
    with chaos_process() as url:
        assert url.startswith("http://127.0.0.1:")


@pytest.mark.slow
@pytest.mark.parametrize("stand_in", [True, False])
def test_a_thousand_questions_leave_the_memory_as_it_was(stand_in: bool) -> None:
    report = checked(run(1000, seconds=6, concurrency=4, stand_in=stand_in), 1000)
    assert len(report.outcomes) >= 3, report.outcomes
    assert report.growth < 0.1, report.memory
