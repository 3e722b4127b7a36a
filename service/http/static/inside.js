// The panel that looks into a model: a text in the colours of what one of its units holds.

import { post } from "./api.js";
import { $, element, handle } from "./dom.js";

const EXAMPLES = {
  language: "ROMEO:\nBut soft! What light through yonder window breaks?\nIt is the east, and Juliet is the sun.\n\nJULIET:\nGood night, good night! Parting is such sweet sorrow.\n",
  en: "The first hour is a delight, warm and funny. Then the story falls apart, and the end is a waste of time.",
  ko: "처음에는 정말 재미있었는데 뒤로 갈수록 지루해서 시간이 아까웠다.",
};
// The states of a text by the task of its model.
const ASK = {
  classification: async ({ model }, text, details) => {
    const { answer, summary } = await post("classify", { inputs: text, parameters: { model: model.name, details } });
    return { details: answer[0].details, summary };
  },
  tagging: async ({ model }, text, details) => {
    const { answer, summary } = await post("tag", { inputs: text, parameters: { model: model.name, details } });
    return { details: answer.details, summary };
  },
  translation: async ({ source, target }, text, details) => {
    const { answer, summary } = await post("translate", { q: text, source, target, details });
    return { details: answer.details, summary };
  },
  language: read,
  text2text: read,
};

let choices = [];

// Those that show their states; numbers would have to be given besides a text.
export function canBeLookedInto(model) {
  return model.states && !model.condition?.num_features;
}

// A translator is there once for each direction.
export function openInside(models) {
  choices = models.flatMap(listChoices);
  $("inside-model").replaceChildren(...choices.map(({ title }, index) => new Option(title, index)));
  $("inside-model").addEventListener("change", showChoice);
  $("layer").addEventListener("change", showLayer);
  handle("inside-form", look);
  $("inside-text").addEventListener("input", () => $("coloured").replaceChildren());
  $("coloured").addEventListener("pointerover", ({ target }) => tell(target));
  showChoice();
}

function listChoices(model) {
  if (!model.pairs.length) return [{ title: model.name, model }];
  return model.pairs.map((pair) => {
    const [source, target] = pair.split("-");
    return { title: `${model.name}, ${source} to ${target}`, model, source, target };
  });
}

// A model of language reads the text as a prompt; what it writes is not looked at.
async function read({ model }, text, details) {
  const body = { inputs: text, parameters: { model: model.name, max_new_tokens: 1, details } };
  if (model.condition) body.label = model.condition.labels[0];
  const { answer, summary } = await post("generate", body);
  return { details: answer.details, summary };
}

function findChoice() {
  return choices[$("inside-model").value];
}

function showChoice() {
  const { model, source } = findChoice();
  const { layers, finds } = model.states;
  $("layer").replaceChildren(...layers.map(({ name }) => new Option(name, name)));
  $("finds").replaceChildren(...finds.map(offerFind));
  $("finds-field").hidden = !finds.length;
  const isExample = Object.values(EXAMPLES).includes($("inside-text").value);
  const example = EXAMPLES[model.task] ?? EXAMPLES[source ?? model.languages[0]] ?? "";
  if (isExample || !$("inside-text").value) $("inside-text").value = example;
  pick(finds[0] ?? { layer: layers[0].name, unit: 0, value: "hidden" });
  $("coloured").replaceChildren();
}

function showLayer() {
  const { units, values } = findChoice().model.states.layers.find(({ name }) => name === $("layer").value);
  $("unit").max = units - 1;
  const before = $("value").value;
  $("value").replaceChildren(...values.map((name) => new Option(name, name)));
  if (values.includes(before)) $("value").value = before;
}

function pick({ layer, unit, value }) {
  $("layer").value = layer;
  showLayer();
  $("unit").value = unit;
  $("value").value = value;
}

function offerFind(find) {
  const item = element("li");
  const button = element("button", find.property, "find");
  button.type = "button";
  const sign = find.correlation < 0 ? "−" : "";
  button.append(element("small", `${sign}${Math.abs(find.correlation).toFixed(2)}`));
  button.title = `unit ${find.unit} of layer ${find.layer}, ${find.value}; correlation ${find.correlation}`;
  button.addEventListener("click", () => {
    pick(find);
    $("inside-form").requestSubmit();
  });
  item.append(button);
  return item;
}

async function look() {
  const choice = findChoice();
  const text = $("inside-text").value;
  const states = { layers: [$("layer").value], units: [Number($("unit").value)], values: [$("value").value] };
  const { details, summary } = await ASK[choice.model.task](choice, text, { states });
  const { tokens, series } = details.states;
  $("coloured").replaceChildren(...colour(Array.from(text), tokens, series[0].values));
  return summary;
}

// Offsets count code points. Blue is low, red is high, on the scale of the largest value.
export function colour(characters, tokens, values) {
  const parts = [];
  const largest = Math.max(...values.map(Math.abs), 1e-9);
  let end = 0;
  for (const [index, token] of tokens.entries()) {
    if (token.start >= characters.length) break;
    parts.push(characters.slice(end, token.start).join(""));
    const value = values[index];
    const mark = element("mark", characters.slice(Math.max(end, token.start), token.end).join(""), "state");
    const share = Math.round((100 * Math.abs(value)) / largest);
    mark.style.background = `color-mix(in srgb, var(--${value < 0 ? "low" : "high"}) ${share}%, transparent)`;
    mark.title = value.toFixed(3);
    parts.push(mark);
    end = Math.max(end, token.end);
  }
  return [...parts, characters.slice(end).join("")];
}

function tell(target) {
  const isToken = target.matches("mark.state");
  $("inside-value").textContent = isToken ? `${JSON.stringify(target.textContent)} ${target.title}` : "";
}
