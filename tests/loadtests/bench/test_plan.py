from loadtests.bench.plan import PARTS, BenchPlan


def test_quick_plan_keeps_its_parts_and_levels() -> None:
    plan = BenchPlan(("http",), 5, 9, (1, 2)).shorten()
    assert (plan.parts, plan.levels) == (("http",), (1, 2))
    assert plan.num_rounds == plan.seconds == 1


def test_smoke_is_shorter_than_quick_and_leaves_no_part_out() -> None:
    quick, smoke = BenchPlan(PARTS).shorten(), BenchPlan(PARTS).shorten_to_smoke()

    assert smoke.parts == PARTS
    assert smoke.num_texts < quick.num_texts
    assert smoke.overload_seconds < quick.overload_seconds
    assert smoke.num_served_sentences < quick.num_served_sentences
    assert len(smoke.maximum_levels) < len(quick.maximum_levels)
    assert smoke.num_contests == 1
