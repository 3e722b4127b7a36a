// The panel that classifies.

import { post } from "./api.js";
import { $, element, handle } from "./dom.js";
import { groupModels } from "./models.js";

export function openClassify(classifiers) {
  $("model").append(...groupModels(classifiers).map(offerGroup));
  if (!classifiers.some((model) => model.answers_by_default)) $("model").options[0].remove();
  handle("classify-form", classify);
}

function offerGroup([subject, models]) {
  const group = element("optgroup");
  group.label = subject;
  group.append(...models.map((model) => new Option(model.name, model.name)));
  return group;
}

export async function classify() {
  const texts = $("texts").value.split("\n").filter((line) => line.trim());
  const body = { inputs: texts, details: true, explain: $("explain").checked };
  if ($("model").value) body.parameters = { model: $("model").value };
  const { answer, summary } = await post("classify", body);
  $("labels").replaceChildren(...answer.map((scores, index) => showScores(texts[index], scores)));
  return summary;
}

// Offsets count code points, as Array.from does; a string's own count UTF-16 units.
function markTokens(text, tokens) {
  const characters = Array.from(text);
  const paragraph = element("p");
  const strongest = Math.max(...tokens.map((token) => Math.abs(token.weight)), 1e-9);
  let end = 0;
  for (const token of tokens) {
    paragraph.append(characters.slice(end, token.start).join(""));
    const mark = element("mark", characters.slice(token.start, token.end).join(""));
    const share = Math.round(100 * Math.abs(token.weight) / strongest);
    const color = token.weight < 0 ? "var(--bad)" : "var(--good)";
    mark.style.borderColor = `color-mix(in srgb, ${color} ${share}%, transparent)`;
    if (token.weight < 0) mark.style.borderBottomStyle = "dashed";
    mark.title = (token.weight < 0 ? "against: " : "for: ") + Math.abs(token.weight).toFixed(3);
    paragraph.append(mark);
    end = Math.max(end, token.end);
  }
  paragraph.append(characters.slice(end).join(""));
  return paragraph;
}

function showScores(text, { labels, tokens }) {
  const item = element("div", undefined, "item");
  item.append(tokens ? markTokens(text, tokens) : element("p", text));
  for (const { label, score } of labels) {
    const row = element("div", undefined, "score");
    const track = element("div", undefined, "track");
    const bar = element("span");
    bar.style.width = `${Math.max(0, Math.min(1, score)) * 100}%`;
    track.append(bar);
    row.append(element("span", label), track, element("output", score.toFixed(3)));
    item.append(row);
  }
  return item;
}
