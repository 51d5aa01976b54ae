"""Decisions of the rules about a clip: follow what the question names, then select by what the masklets do."""

from sam3agent.knowledge import knowledge_of
from sam3agent.media import Media
from sam3agent.mllm.base import MLLMReply
from sam3agent.motion.camera_path import UNCERTAIN
from sam3agent.rules.clip_reasons import explain_clip, open_readings
from sam3agent.rules.clip_selector import ClipSelector
from sam3agent.rules.question_plan import QuestionPlan
from sam3agent.rules.remarks import NAME_AN_MLLM, open_attachment, unknown_noun, word_warnings
from sam3agent.rules.selector import alternatives
from sam3agent.rules.tool_replies import call_tool, search, unused
from sam3agent.states import Story
from sam3agent.workbench import Workbench


def next_on_clip(story: Story, plan: QuestionPlan, bench: Workbench) -> MLLMReply:
    """Track, track other words, answer, or report no match."""
    if why := _after_the_end(plan, bench.media):
        return MLLMReply(not_understood=why, calls=0)
    wanted = unused(plan.phrases(), story)
    if story.complaint:
        if any(target.happenings for target in plan.targets) or not wanted:
            return MLLMReply(not_understood=f"what happens in a clip needs a tracker: {story.complaint}", calls=0)
        return search("segment_phrase", wanted, bench)  # the first frame, and the answer says so
    if wanted:
        return search("track", wanted, bench)
    selector = ClipSelector(bench)
    missing = [what for what in plan.phrases() if not selector.finder.find(what)]
    if others := unused((other for what in missing for other in alternatives(what)), story):
        return search("track", others, bench)
    knowledge = knowledge_of(bench.session)
    choices = [selector.choose(target) for target in plan.targets]
    ids = list(dict.fromkeys(candidate.id for choice in choices for candidate in choice.kept))
    warnings = [
        *plan.notes,
        *open_readings(choices),
        *dict.fromkeys(selector.remarks),
        *word_warnings(plan.phrases(), knowledge, missing),
    ]
    if any(target.happenings for target in plan.targets) and not selector.motion.camera.certain:
        warnings.append(UNCERTAIN)
    if why := unknown_noun(missing, knowledge):
        if not ids:
            return MLLMReply(not_understood=why, calls=0)
        warnings.append(why)
    if ids:
        return call_tool("select_masks", warnings, ids=ids, reason=explain_clip(choices))
    if (doubt := open_attachment(plan)) and len(missing) < len(plan.phrases()):
        return MLLMReply(not_understood=f"{doubt}, and then nothing matches; {NAME_AN_MLLM}", calls=0)
    return call_tool("report_no_match", warnings, reason=explain_clip(choices))


def _after_the_end(plan: QuestionPlan, media: Media) -> str:
    """Why a question about a time after the end of the clip has no answer; empty if it names none."""
    last = media.count - 1
    seconds = media.time(last)
    for when in (when for target in plan.targets for when in target.times()):
        if (when.kind == "frame" and when.value > last) or (when.kind == "second" and when.value > seconds + 0.5):
            return f"the clip has no {when.kind} {when.value:g}: its last frame is {last}, at {seconds:.1f} s"
    return ""
