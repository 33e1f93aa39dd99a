"""A figure of your own, P(solved) by length: python docs/custom_figure.py results/length_study out.png."""

import sys

from matplotlib.figure import Figure

from analysis.conditions import conditions_table
from analysis.load import load

table = conditions_table(load(sys.argv[1])).frame
figure = Figure(layout="constrained")
axis = figure.subplots(
    subplot_kw={"xlabel": "sequence length T", "ylabel": "share of seeds that solve the task"}
)
for (model, optimizer, arm), rows in table.groupby(["model", "optimizer", "arm"]):
    axis.fill_between(rows["length"], rows["p_solved_low"], rows["p_solved_high"], alpha=0.2)
    axis.plot(rows["length"], rows["p_solved"], marker="o", label=f"{model}, {optimizer}, {arm}")
axis.legend()
figure.savefig(sys.argv[2])
