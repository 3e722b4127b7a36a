from loadtests.bench.plan import Plan


def test_quick_plan_keeps_its_parts_and_levels() -> None:
    plan = Plan(("http",), 5, 9, (1, 2)).shorten()
    assert (plan.parts, plan.levels) == (("http",), (1, 2))
    assert plan.num_rounds == plan.seconds == 1
