"""Laws of the rules that say who trains in what: the tree is exact, the judgement is true where the truth is known."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features.vocabulary import InputError
from models.policy import PolicyParams, Scores, choose_policies, judge_policies, net_worth, place_costs
from models.policy_tree import Condition, Tree, TreeParams, Worth, fit_tree

SMALL = TreeParams(depth=2, thresholds=8, smallest_leaf=5)
PARAMS = PolicyParams(tree=SMALL)
FREE = np.zeros(3)
CHANCE = np.array([0.4, 0.3, 0.3])  # of each action, drawn by lot
GUESS = 0.35  # a wrong model of every outcome: the scores stay right, since the chances are known
SEEDS = st.integers(0, 10_000)


def worth_of(net: np.ndarray, weight: np.ndarray | None = None) -> Worth:
    people, actions = net.shape
    weight = np.ones(people) if weight is None else weight
    return Worth(("", "a", "b", "c")[:actions], net, net, np.arange(people) % 2 > 0, weight)


def drawn_covariates(rng: np.random.Generator, people: int) -> pd.DataFrame:
    """Draw a number, a flag and a category, each unknown for some. One row per person."""
    level = rng.integers(1, 5, people).astype(float)
    level[rng.random(people) < 0.15] = np.nan
    rsa = pd.array(rng.random(people) < 0.4, dtype="boolean")
    rsa[rng.random(people) < 0.1] = pd.NA
    codes = rng.integers(-1, 3, people)
    size = pd.Categorical.from_codes(codes, ["small", "middle", "large"], ordered=True)
    return pd.DataFrame({"level": level, "rsa": rsa, "size": size})


def drawn_worth(rng: np.random.Generator, people: int, actions: int = 3) -> Worth:
    """Draw worths in eighths, so that sums are exact and ties happen, a tenth of them not judged."""
    net = rng.integers(-8, 9, (people, actions)) / 8
    net[rng.random(net.shape) < 0.1] = np.nan
    return worth_of(net, rng.integers(1, 4, people).astype(float))


def added(worth: Worth, choice: np.ndarray) -> float:
    """Add up what a choice adds to no training, over the people who can be judged."""
    given = worth.allow(choice)[worth.judged]
    net = worth.net[worth.judged]
    return float(worth.weight[worth.judged] @ (net[np.arange(len(net)), given] - net[:, 0]))


def every_split(covariates: pd.DataFrame) -> Iterator[np.ndarray]:
    """Mark who is below, for every question that can be put."""
    for limit in (1, 2, 3):
        yield (covariates["level"] <= limit).to_numpy()
    yield ~covariates["rsa"].fillna(False).to_numpy(dtype=bool)
    for names in (["small"], ["small", "middle"]):
        yield covariates["size"].isin(names).to_numpy()


def best_by_hand(worth: Worth, covariates: pd.DataFrame, rows: np.ndarray, depth: int) -> tuple[float, int]:
    """Try every tree: the most it adds, and minus the fewest leaves that add so much."""
    if rows.sum() < SMALL.smallest_leaf:
        return -np.inf, 0
    best = max((added(worth.of(rows), np.full(rows.sum(), action)), -1) for action in range(len(worth.actions)))
    for below in every_split(covariates) if depth else ():
        sides = [best_by_hand(worth, covariates, rows & side, depth - 1) for side in (below, ~below)]
        best = max(best, (sides[0][0] + sides[1][0], sides[0][1] + sides[1][1]))
    return best


@pytest.mark.parametrize(("depth", "seeds"), [(0, 5), (1, 20), (2, 8), (3, 3)])
def test_no_tree_is_better_than_the_one_found_and_no_equal_one_is_simpler(depth: int, seeds: int) -> None:
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        worth, covariates = drawn_worth(rng, 36), drawn_covariates(rng, 36)
        tree = fit_tree(worth, covariates, SMALL.model_copy(update={"depth": depth}))
        expected = best_by_hand(worth, covariates, worth.judged, depth)
        assert (added(worth, tree.choose(covariates)), -len(tree.leaves)) == expected


def test_two_questions_find_what_one_after_the_other_would_miss() -> None:
    crossed = pd.DataFrame({"old": [0, 0, 1, 1] * 10, "far": [0, 1, 0, 1] * 10, "noise": [0, 1, 1, 0] * 5 + [1, 0, 0, 1] * 5})
    net = np.column_stack([np.zeros(40), np.where(crossed["old"] == crossed["far"], 0.5, -0.5)])
    tree = fit_tree(worth_of(net), crossed, SMALL)
    assert tree.tell()["rule"].tolist() == [
        "old <= 0 & far <= 0",
        "old <= 0 & far > 0",
        "old > 0 & far <= 0",
        "old > 0 & far > 0",
    ]
    assert tree.tell()["action"].tolist() == ["a", "", "", "a"]
    assert tree.tell()["net"].tolist() == [0.5, 0.0, 0.0, 0.5]


def test_of_equal_trees_the_simplest_is_taken_then_the_first_column_the_lowest_limit_and_the_first_action() -> None:
    twice = pd.DataFrame({"first": [0, 1, 2, 3] * 5, "second": [0, 1, 2, 3] * 5})
    helped = np.where(twice["first"] >= 2, 1.0, -1.0)
    tree = fit_tree(worth_of(np.column_stack([np.zeros(20), helped, helped])), twice, SMALL)
    assert tree.tell()[["rule", "action"]].to_numpy().tolist() == [["first <= 1", ""], ["first > 1", "a"]]
    nothing_helps = fit_tree(worth_of(np.zeros((20, 3))), twice, SMALL)
    assert nothing_helps.tell()[["rule", "action"]].to_numpy().tolist() == [["everyone", ""]]
    flat = np.where(twice["first"] == 0, 1.0, np.where(twice["first"] == 3, -1.0, 0.0))
    low = fit_tree(worth_of(np.column_stack([np.zeros(20), flat])), twice, SMALL.model_copy(update={"depth": 1}))
    assert low.leaves[0].conditions == (Condition("first", 0.0, above=False),)


@given(SEEDS)
@settings(max_examples=15, deadline=None)
def test_a_deeper_tree_is_never_worse_on_its_own_people(seed: int) -> None:
    rng = np.random.default_rng(seed)
    worth, covariates = drawn_worth(rng, 120), drawn_covariates(rng, 120)
    trees = [fit_tree(worth, covariates, SMALL.model_copy(update={"depth": depth})) for depth in range(4)]
    brought = [added(worth, tree.choose(covariates)) for tree in trees]
    assert brought == sorted(brought)
    assert all(len(tree.leaves) <= 2**depth for depth, tree in enumerate(trees))


@given(SEEDS)
@settings(max_examples=15, deadline=None)
def test_every_leaf_holds_enough_people_and_everyone_stands_in_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    worth, covariates = drawn_worth(rng, 80), drawn_covariates(rng, 80)
    tree = fit_tree(worth, covariates, TreeParams(smallest_leaf=13))
    met = np.array([np.all([c.met(covariates) for c in leaf.conditions] or [[True] * 80], axis=0) for leaf in tree.leaves])
    assert (met.sum(axis=0) == 1).all()
    assert [leaf.people for leaf in tree.leaves] == met[:, worth.judged].sum(axis=1).tolist()
    assert min(leaf.people for leaf in tree.leaves) >= 13


def test_people_and_net_of_the_leaves_add_up_to_what_the_tree_adds() -> None:
    rng = np.random.default_rng(3)
    covariates = drawn_covariates(rng, 200)
    worth = worth_of(rng.normal(size=(200, 3)))
    told = fit_tree(worth, covariates, SMALL).tell()
    assert (told["people"] @ told["net"]) == pytest.approx(added(worth, fit_tree(worth, covariates, SMALL).choose(covariates)))


@given(SEEDS)
@settings(max_examples=10, deadline=None)
def test_neither_the_order_of_people_nor_who_works_beside_changes_a_tree(seed: int) -> None:
    rng = np.random.default_rng(seed)
    covariates, net = drawn_covariates(rng, 300), rng.normal(size=(300, 4)) / 3
    worth = worth_of(net, rng.random(300) + 0.1)
    order = rng.permutation(300)
    turned = Worth(worth.actions, net[order], net[order], worth.second[order], worth.weight[order])
    tree = fit_tree(worth, covariates, SMALL)
    assert fit_tree(turned, covariates.iloc[order], SMALL) == tree
    with ThreadPoolExecutor(3) as workers:
        assert set(workers.map(lambda _: fit_tree(worth, covariates, SMALL), range(3))) == {tree}


def test_what_all_actions_share_changes_no_choice() -> None:
    rng = np.random.default_rng(5)
    covariates, net = drawn_covariates(rng, 400), rng.normal(size=(400, 3))
    trees = [fit_tree(worth_of(net + shared), covariates, SMALL) for shared in (0.0, 0.3, -7.7, rng.normal(size=(400, 1)))]
    assert len({tuple((leaf.conditions, leaf.action) for leaf in tree.leaves) for tree in trees}) == 1


def test_a_weight_of_two_is_the_person_twice() -> None:
    rng = np.random.default_rng(6)
    covariates, net, weight = drawn_covariates(rng, 300), rng.normal(size=(300, 3)), rng.integers(1, 4, 300)
    weighted, twice = worth_of(net, weight.astype(float)), worth_of(np.repeat(net, weight, axis=0))
    repeated = covariates.loc[np.repeat(np.arange(300), weight)]
    once, again = fit_tree(weighted, covariates, SMALL).tell(), fit_tree(twice, repeated, SMALL).tell()
    assert_frame_equal(once.drop(columns="people"), again.drop(columns="people"))
    assert again["people"].sum() == weight.sum()


def test_limits_are_values_and_no_more_than_offered() -> None:
    rng = np.random.default_rng(7)
    age = rng.integers(16, 65, 500).astype(float)
    for limit in (35.0, 40.0, 45.0):
        net = np.column_stack([np.zeros(500), np.where(age > limit, 1.0, -1.0)])
        one = fit_tree(worth_of(net), pd.DataFrame({"age": age}), TreeParams(depth=1, thresholds=1, smallest_leaf=5))
        assert one.leaves[0].conditions[0].limit == np.quantile(age, 0.5, method="inverted_cdf")
    far = fit_tree(worth_of(net), pd.DataFrame({"age": age}), TreeParams(depth=1, thresholds=16, smallest_leaf=5))
    assert far.leaves[0].conditions[0].limit in age
    assert abs(far.leaves[0].conditions[0].limit - 45.0) <= 3


def test_no_more_limits_are_offered_than_asked_for() -> None:
    grade = np.arange(240) % 12
    found = set()
    for limit in range(11):
        net = np.column_stack([np.zeros(240), np.where(grade > limit, 1.0, -1.0)])
        tree = fit_tree(worth_of(net), pd.DataFrame({"grade": grade}), TreeParams(depth=1, thresholds=8, smallest_leaf=5))
        found |= {condition.limit for leaf in tree.leaves for condition in leaf.conditions}
    assert len(found) == 8


def test_a_rule_says_no_more_than_it_needs() -> None:
    grade = np.arange(40) % 4
    net = np.column_stack([np.zeros(40), np.where(grade % 2 == 0, 1.0, -1.0)])
    told = fit_tree(worth_of(net), pd.DataFrame({"grade": grade}), SMALL.model_copy(update={"depth": 3})).tell()
    assert told["rule"].tolist() == ["grade <= 0", "grade > 0 & grade <= 1", "grade > 1 & grade <= 2", "grade > 2"]
    assert told["action"].tolist() == ["a", "", "a", ""]


def test_who_is_unknown_stands_on_the_side_the_rule_says() -> None:
    known = pd.DataFrame(
        {
            "level": [2.0, 4.0, np.nan] * 10,
            "rsa": pd.array([True, False, None] * 10, dtype="boolean"),
            "size": pd.Categorical(["small", "large", None] * 10, ["small", "middle", "large"], ordered=True),
        }
    )
    net = np.column_stack([np.zeros(30), np.tile([1.0, -1.0, -1.0], 10)])
    rules = {name: fit_tree(worth_of(net), known[[name]], SMALL).tell()["rule"].tolist() for name in known}
    assert rules == {
        "level": ["level <= 2", "level > 2 (or unknown)"],
        "rsa": ["not rsa", "rsa"],
        "size": ["size <= small", "size > small (or unknown)"],
    }
    for name in known:
        choice = fit_tree(worth_of(net), known[[name]], SMALL).choose(known.iloc[:3])
        assert choice.tolist() == [1, 0, 0]


def test_only_what_has_an_order_can_be_cut() -> None:
    wrong = pd.DataFrame({"age": [1.0] * 6, "rome": ["A"] * 6, "kind": pd.Categorical(["x"] * 6)})
    with pytest.raises(InputError, match=r"rome \(str\), kind \(category\) cannot be cut"):
        fit_tree(worth_of(np.zeros((6, 2))), wrong, SMALL)


def test_of_nobody_and_of_too_few_nothing_is_learned_or_told() -> None:
    for people in (0, 1, 4):
        tree = fit_tree(worth_of(np.full((people, 2), 9.0) * [0, 1]), pd.DataFrame({"age": np.arange(people) * 1.0}), SMALL)
        assert tree.tell().fillna(-1).to_numpy().tolist() == [["everyone", "", 0, -1]]
    alike = fit_tree(worth_of(np.ones((9, 3)) * [0, 1, 2]), pd.DataFrame({"age": [30] * 9}), SMALL)
    assert alike.tell().to_numpy().tolist() == [["everyone", "b", 9, 2.0]]
    no_column = fit_tree(worth_of(np.ones((9, 3)) * [0, 1, 2]), pd.DataFrame(index=range(9)), SMALL)
    assert no_column == alike
    no_choice = fit_tree(worth_of(np.ones((9, 1))), pd.DataFrame({"age": range(9)}), SMALL)
    assert no_choice.tell().to_numpy().tolist() == [["everyone", "", 9, 0.0]]


# A region where training is drawn by lot, and what it does is known.
CELLS = pd.MultiIndex.from_product([range(4), range(3), [False, True]], names=["level", "zone", "rsa"]).to_frame(index=False)


def true_effects(people: pd.DataFrame) -> np.ndarray:
    first = 0.3 * (people["level"] >= 2) - 0.1
    second = 0.2 * people["rsa"] - 0.05
    return np.column_stack([np.zeros(len(people)), first, second])


def true_value(choice: np.ndarray) -> float:
    """Say what a rule adds to no training, where each cell is as frequent as any other."""
    return float(true_effects(CELLS)[np.arange(len(CELLS)), choice].mean())


def draw_trial(seed: int, people: int, folds: int = 2) -> tuple[Scores, pd.DataFrame]:
    """Draw a trial, and its scores from a model that is wrong."""
    rng = np.random.default_rng(seed)
    covariates = CELLS.iloc[rng.integers(0, len(CELLS), people)].reset_index(drop=True)
    taken = rng.choice(3, people, p=CHANCE)
    chance = 0.3 + 0.05 * covariates["zone"].to_numpy() + true_effects(covariates)[np.arange(people), taken]
    outcome = (rng.random(people) < chance) * 1.0
    hit = taken[:, None] == np.arange(3)
    fold = np.arange(people) % folds
    plain = np.empty((people, 3))
    for each in range(folds):  # the rate of each action among those of the same flag, in the other folds
        for rsa in (False, True):
            others = (fold != each) & (covariates["rsa"].to_numpy() == rsa)
            told = [outcome[others & hit[:, action]].mean() for action in range(3)]
            plain[(fold == each) & (covariates["rsa"].to_numpy() == rsa)] = told
    gamma = GUESS + hit / CHANCE * (outcome[:, None] - GUESS)
    return Scores(("", "a", "b"), gamma, plain, taken, outcome, fold, np.ones(people)), covariates


def learned_elsewhere(scores: Scores, covariates: pd.DataFrame) -> list[Tree]:
    worth = net_worth(scores, FREE)
    return [fit_tree(worth.of(half), covariates[half], SMALL) for half in (scores.fold == 0, scores.fold == 1)]


@dataclass(frozen=True)
class Repeated:
    """What was told of many trials, and what was true: one row per trial in each frame, with what rules told."""

    told: pd.DataFrame
    truth: pd.DataFrame


@pytest.fixture(scope="module")
def repeated() -> Repeated:
    told, truth = [], []
    for seed in range(300):
        scores, covariates = draw_trial(seed, 400)
        covariates = covariates[["level", "rsa"]].astype(float)
        judged = judge_policies(scores, FREE, covariates, PARAMS)
        flattered = fit_tree(net_worth(scores, FREE), covariates, SMALL)
        leaves = flattered.tell()
        told.append(judged.assign(seed=seed, flattered=leaves["people"] @ leaves["net"] / 400))
        truth.append(
            {
                "status_quo": float(true_effects(CELLS).mean(axis=0) @ CHANCE),
                "tree_2": np.mean([true_value(tree.choose(CELLS)) for tree in learned_elsewhere(scores, covariates)]),
                "flattered": true_value(flattered.choose(CELLS)),
            }
        )
    return Repeated(pd.concat(told), pd.DataFrame(truth))


@pytest.mark.long
@pytest.mark.parametrize("policy", ["status_quo", "tree_2"])
def test_four_intervals_in_five_hold_the_true_value_of_what_was_learned_elsewhere(repeated: Repeated, policy: str) -> None:
    told = repeated.told[repeated.told["policy"] == policy].set_index("seed")
    truth = repeated.truth[policy]
    assert 0.73 <= ((told["low"] <= truth) & (truth <= told["high"])).mean() <= 0.87


def test_a_tree_judged_on_its_own_people_is_flattered_and_one_judged_on_others_is_not(repeated: Repeated) -> None:
    told = repeated.told[repeated.told["policy"] == "tree_2"].set_index("seed")
    fair, flattered = told["value"] - repeated.truth["tree_2"], told["flattered"] - repeated.truth["flattered"]
    assert abs(fair.mean()) < 3 * fair.sem()
    assert flattered.mean() > 10 * flattered.sem()


def test_with_enough_people_the_rules_find_what_is_true() -> None:
    scores, covariates = draw_trial(1, 40_000)
    judged = judge_policies(scores, FREE, covariates, PARAMS).set_index("policy")
    best = true_effects(CELLS).max(axis=1).mean()
    assert judged.loc["tree_2", "value"] == pytest.approx(best, abs=0.02)
    assert judged.loc["best_action", "value"] == pytest.approx(0.05, abs=0.02)
    assert judged.loc["public:rsa", "value"] == pytest.approx(0.075, abs=0.02)
    assert judged.loc["unrestricted", "value"] == pytest.approx((0.05 + 0.15) / 2, abs=0.02)
    tree = fit_tree(net_worth(scores, FREE), covariates, SMALL)
    assert (tree.choose(CELLS) == true_effects(CELLS).argmax(axis=1)).all()


def test_the_status_quo_is_what_was_seen_less_what_no_training_would_bring() -> None:
    scores, covariates = draw_trial(2, 500)
    scores = replace(scores, weight=np.random.default_rng(2).random(500))
    judged = judge_policies(scores, place_costs(np.array([0.0, 3000.0, 8000.0]), PARAMS), covariates, PARAMS).set_index(
        "policy"
    )
    now = judged.loc["status_quo"]
    assert now["value"] + np.average(scores.gamma[:, 0], weights=scores.weight) == pytest.approx(
        np.average(scores.outcome, weights=scores.weight)
    )
    assert now["places"] == pytest.approx(np.average(scores.taken > 0, weights=scores.weight))
    assert now["cost"] == pytest.approx(np.average(np.array([0.0, 0.15, 0.4])[scores.taken], weights=scores.weight))
    assert now[["gain", "gain_low", "gain_high"]].tolist() == [0.0] * 3
    assert judged.loc["nothing", ["value", "low", "high", "cost", "net", "places"]].tolist() == [0.0] * 6
    assert judged["gain"].tolist() == pytest.approx((judged["net"] - now["net"]).tolist())
    assert judged["net"].tolist() == pytest.approx((judged["value"] - judged["cost"]).tolist())


def test_the_interval_is_that_of_a_weighted_mean_and_wider_where_more_certainty_is_asked() -> None:
    scores, covariates = draw_trial(3, 300)
    weight = np.random.default_rng(3).random(300)
    scores = replace(scores, weight=weight)
    told = [
        judge_policies(scores, FREE, covariates, PolicyParams(confidence=level, tree=SMALL))
        .set_index("policy")
        .loc["status_quo"]
        for level in (0.8, 0.95)
    ]
    over_nothing = scores.outcome - scores.gamma[:, 0]
    far = weight * (over_nothing - np.average(over_nothing, weights=weight)) / weight.sum()
    spread = np.sqrt((far**2).sum() * 300 / 299)
    assert [(each["high"] - each["low"]) / 2 / spread for each in told] == pytest.approx([1.2816, 1.96], abs=1e-3)


def test_a_cost_that_all_actions_share_changes_no_judgement() -> None:
    scores, covariates = draw_trial(13, 200)
    costs = np.array([0.0, 0.1, 0.2])
    plain, shared = (judge_policies(scores, each, covariates, PARAMS) for each in (costs, costs + 0.5))
    assert_frame_equal(plain, shared)


def test_the_order_of_people_changes_no_judgement() -> None:
    scores, covariates = draw_trial(4, 400, folds=3)
    order = np.random.default_rng(4).permutation(400)
    columns = {name: getattr(scores, name)[order] for name in ("gamma", "plain", "taken", "outcome", "fold", "weight")}
    turned = judge_policies(Scores(scores.actions, **columns), FREE, covariates.iloc[order], PARAMS)
    assert_frame_equal(turned, judge_policies(scores, FREE, covariates, PARAMS), rtol=1e-9)


def test_nobody_is_judged_by_a_rule_that_saw_them() -> None:
    scores, covariates = draw_trial(5, 300, folds=5)
    worth = net_worth(scores, FREE)
    here = scores.fold % 2 == 0
    luckier = replace(worth, net=np.where(here[:, None], worth.net + np.array([0.0, 9.0, -9.0]), worth.net))
    plain, changed = (choose_policies(each, covariates, 0.5, PARAMS) for each in (worth, luckier))
    for policy in plain:
        assert (plain[policy][here] == changed[policy][here]).all()
    assert (changed["best_action"][~here] == 1).all()
    assert (plain["best_action"][~here] != 1).any()
    alone = choose_policies(net_worth(replace(scores, fold=scores.taken * 0 + 7), FREE), covariates, 0.5, PARAMS)
    assert not alone["tree_2"].any()  # without another fold, nothing can be learned


@given(SEEDS, st.floats(0.05, 1.0))
@settings(max_examples=15, deadline=None)
def test_an_action_that_costs_more_is_never_chosen_more(seed: int, more: float) -> None:
    scores, covariates = draw_trial(seed, 300)
    scores = replace(scores, plain=scores.plain + np.random.default_rng(seed).normal(0, 0.1, (300, 3)))
    chosen = {}
    for cost in (0.1, 0.1 + more):
        worth = net_worth(scores, np.array([0.0, cost, 0.15]))
        rules = choose_policies(worth, covariates, 0.4, PARAMS)
        rules["tree of all"] = fit_tree(worth, covariates, SMALL).choose(covariates)
        chosen[cost] = {policy: int((choice == 1).sum()) for policy, choice in rules.items()}
    before, after = chosen.values()
    own_people = {policy for policy in before if policy in ("unrestricted", "unrestricted_capped", "tree of all")}
    assert all(after[policy] <= before[policy] for policy in own_people)
    assert after["best_action"] <= before["best_action"]  # what is learned on one half is the same for all of the other


def test_an_action_of_infinite_cost_is_never_chosen_and_leaves_the_others_as_they_are() -> None:
    (scores, covariates), luck = draw_trial(8, 400), np.array([0.0, 5.0, 0.2])
    scores = replace(scores, gamma=scores.gamma + luck, plain=scores.plain + luck)
    forbidden, dear = (
        choose_policies(net_worth(scores, np.array([0.0, cost, 0.0])), covariates, 1.0, PARAMS) for cost in (np.inf, 1e3)
    )
    for policy, choice in forbidden.items():
        assert not (choice == 1).any()
        assert (choice == dear[policy]).all()
    assert (forbidden["unrestricted"] == 2).any()
    judged = judge_policies(scores, np.array([0.0, np.inf, 0.0]), covariates, PARAMS).set_index("policy")
    assert np.isnan(judged.loc["status_quo", "net"])  # some took it, and nobody knows for how much
    assert judged.drop("status_quo")["net"].notna().all()


def test_what_cannot_be_judged_for_a_person_is_not_given_to_that_person() -> None:
    (scores, covariates), luck = draw_trial(9, 400), np.array([0.0, 1.0, 0.0])
    scores = replace(scores, gamma=scores.gamma + luck, plain=scores.plain + luck)
    gamma = scores.gamma.copy()
    gamma[::5, 1] = np.nan
    chosen = choose_policies(net_worth(replace(scores, gamma=gamma), FREE), covariates, 1.0, PARAMS)
    for policy in ("best_action", "tree_2", "unrestricted", "unrestricted_capped"):
        assert not (chosen[policy][::5] == 1).any()
        assert (np.delete(chosen[policy], np.s_[::5]) == 1).any()
    gamma[:40, 0] = np.nan
    judged = judge_policies(replace(scores, gamma=gamma), FREE, covariates, PARAMS)
    fewer = Scores(
        scores.actions,
        gamma[40:],
        scores.plain[40:],
        scores.taken[40:],
        scores.outcome[40:],
        scores.fold[40:],
        scores.weight[40:],
    )
    assert_frame_equal(judged, judge_policies(fewer, FREE, covariates.iloc[40:], PARAMS))
    assert (judged["n"] == 360).all()


@pytest.mark.parametrize("places", [0.0, 0.1, 0.35, 1.0])
def test_the_capped_rule_gives_no_more_places_than_there_are_and_gives_them_where_most_is_expected(places: float) -> None:
    scores, covariates = draw_trial(10, 500)
    rng = np.random.default_rng(10)
    scores = replace(scores, plain=rng.random((500, 3)), weight=rng.random(500))
    chosen = choose_policies(net_worth(scores, FREE), covariates, places, PARAMS)
    trained, free = chosen["unrestricted_capped"] > 0, chosen["unrestricted"] > 0
    share = np.average(trained, weights=scores.weight)
    assert min(places, np.average(free, weights=scores.weight)) - 0.005 <= share <= places + 1e-9
    gain = scores.plain.max(axis=1) - scores.plain[:, 0]
    assert gain[trained].min(initial=9.0) > gain[free & ~trained].max(initial=0.0)
    assert (chosen["unrestricted_capped"][trained] == chosen["unrestricted"][trained]).all()


def test_nobody_and_one_person_are_judged_without_a_number_that_is_not_known() -> None:
    scores, covariates = draw_trial(11, 60)
    for people in (0, 1):
        few = replace(
            scores,
            **{name: getattr(scores, name)[:people] for name in ("gamma", "plain", "taken", "outcome", "fold", "weight")},
        )
        judged = judge_policies(few, FREE, covariates.iloc[:people], PARAMS)
        assert judged["n"].tolist() == [people] * len(judged)
        assert judged[["low", "high", "net_low", "gain_high"]].isna().all(axis=None)
        assert judged["value"].isna().tolist() == [people == 0] * len(judged)
    alone = replace(scores, actions=("",), gamma=scores.gamma[:, :1], plain=scores.plain[:, :1], taken=scores.taken * 0)
    judged = judge_policies(alone, np.zeros(1), covariates, PARAMS).set_index("policy").drop("status_quo")
    assert (judged[["value", "places", "cost"]] == 0).all(axis=None)


def test_costs_and_scores_that_do_not_fit_are_refused_in_words() -> None:
    scores, _ = draw_trial(12, 60)
    with pytest.raises(InputError, match="2 costs for 3 actions"):
        net_worth(scores, np.zeros(2))
    with pytest.raises(InputError, match="no usable cost of '', 'b'"):
        net_worth(scores, np.array([np.inf, np.inf, np.nan]))
    with pytest.raises(ValueError, match="of which the first must be ''"):
        replace(scores, actions=("a", "b", ""))
    with pytest.raises(ValueError, match="people"):
        replace(scores, plain=scores.plain[1:])
