from sam3model.metrics.veval import evaluate_saco_veval
from tests.metrics.conftest import close
from tests.metrics.test_video_tracks import EXPECTED, FOUND, TRUTH


def test_all_five_evaluators():
    expected = EXPECTED["saco_veval"]
    result = evaluate_saco_veval(TRUTH, FOUND, reference_behaviour=True)
    rounded = {
        k: v
        for k, v in expected["dataset_results"].items()
        if "_teta" in k or k[-2:] == "_a" or k[-3:] in ("_re", "_pr")
    }
    exact = {k: v for k, v in expected["dataset_results"].items() if k not in rounded}
    close(result.summary(), exact, 1e-6)
    close(result.summary(), rounded, 6e-4)
    assert result.summary().keys() == expected["dataset_results"].keys()
    rows = {(r["video_id"], r["category_id"]): r for r in result.video_np_results}
    for row in expected["video_np_results"]:
        close(rows[row["video_id"], row["category_id"]], row, 1e-6)
