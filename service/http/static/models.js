// The table of loaded models.

import { element } from "./dom.js";

const TASK_NAMES = { language: "Text generation", text2text: "Text to text" };

// What a model is for: the purpose of a classifier, if it has one, or else the task.
function subjectOf(model) {
  const subject = model.purpose || TASK_NAMES[model.task] || model.task;
  return subject[0].toUpperCase() + subject.slice(1);
}

export function groupModels(models) {
  const groups = new Map();
  for (const model of models) groups.set(subjectOf(model), [...(groups.get(subjectOf(model)) || []), model]);
  return [...groups];
}

export function showGroup([subject, models]) {
  const group = element("tbody");
  const heading = element("th", subject);
  heading.scope = "rowgroup";
  heading.colSpan = 8;
  const row = element("tr");
  row.append(heading);
  group.append(row, ...models.map(showModel));
  return group;
}

function showModel(model) {
  const row = element("tr");
  const figures = model.headlines.map(showFigure);
  const spoken = model.pairs.length ? model.pairs.join(", ") : model.languages.join(", ");
  const answers = model.answers_by_default ? "by default" : "when named";
  const cells = [model.name, model.version, answers, model.cell, spoken, model.precision, model.device, figures.join("; ")];
  row.append(...cells.map((text) => element("td", text)));
  return row;
}

function showFigure({ pair, metric, value, decoding, data }) {
  const said = [pair, metric, value.toFixed(value < 10 ? 2 : 1)].filter(Boolean).join(" ");
  return `${said} (${[data, decoding].filter(Boolean).join(", ")})`;
}
