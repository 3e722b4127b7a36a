// The panel that writes texts.

import { nameModel, readEvents, send } from "./api.js";
import { $, element, handle } from "./dom.js";

const EXAMPLES = {
  language: { en: "To be, or", ko: "오늘은" },
  text2text: { en: "Good morning.", ko: "오늘 너무 피곤해." },
};
const ENDS = { length: "ended at the limit", eos_token: "ended by itself" };
// Of those that are drawn here.
const MAX_SEED = 2 ** 32;

let models = [];
let running = new AbortController();

export function openGenerate(generators) {
  models = generators;
  $("generator").replaceChildren(...models.map((model) => new Option(model.name, model.name)));
  // the one that answers a prompt without a name, if there is one
  const first = models.find((model) => !model.condition && model.answers_by_default !== false) ?? models[0];
  $("generator").value = first.name;
  $("generator").addEventListener("change", showModel);
  $("stop").addEventListener("click", () => running.abort());
  showModel();
  handle("generate-form", generate);
}

function findModel() {
  return models.find((model) => model.name === $("generator").value);
}

// A model that writes by a label or by numbers needs no prompt.
function showModel() {
  const { task, condition, languages } = findModel();
  $("label").replaceChildren(...(condition?.labels ?? []).map((label) => new Option(label, label)));
  $("label-field").hidden = !condition?.labels.length;
  $("features-field").hidden = !condition?.num_features;
  if (condition?.num_features) $("features").placeholder = `${condition.num_features} numbers`;
  const isExample = Object.values(EXAMPLES).flatMap(Object.values).includes($("prompt").value);
  if (isExample || !$("prompt").value) $("prompt").value = condition ? "" : EXAMPLES[task][languages[0]] ?? "";
}

function describeRequest() {
  const temperature = Number($("temperature").value);
  const parameters = { model: findModel().name, details: true };
  if ($("most").value) parameters.max_new_tokens = Number($("most").value);
  if (temperature > 0) Object.assign(parameters, { do_sample: true, temperature, seed: Number($("seed").value) });
  const body = { inputs: $("prompt").value, parameters };
  if (!$("label-field").hidden) body.label = $("label").value;
  if (!$("features-field").hidden) body.features = $("features").value.split(/[\s,]+/).filter(Boolean).map(Number);
  return body;
}

// The same seed gives the same text, so another text takes another seed.
export async function generate(button) {
  if (button === $("again")) $("seed").value = Math.floor(Math.random() * MAX_SEED);
  const body = describeRequest();
  const output = $("generated");
  running = new AbortController();
  $("stop").disabled = false;
  // a language model goes on with the prompt, others answer it
  output.replaceChildren(element("span", findModel().task === "language" ? body.inputs : "", "given"));
  output.setAttribute("aria-busy", "true");
  try {
    return await write(body, output);
  } finally {
    output.setAttribute("aria-busy", "false");
    $("stop").disabled = true;
  }
}

async function write(body, output) {
  const started = performance.now();
  let response, waited, details;
  let numTokens = 0;
  try {
    response = await send("generate_stream", body, running.signal);
    for await (const { data } of readEvents(response)) {
      if (data.error) throw new Error(data.error);
      output.append(data.token.special ? "" : data.token.text);
      waited ??= performance.now() - started;
      numTokens = data.index;
      details = data.details;
    }
  } catch (error) {
    if (!running.signal.aborted) throw error;
  }
  const isStopped = running.signal.aborted;
  if (!details && !isStopped) throw new Error("The connection broke before the text was complete.");
  const seconds = (performance.now() - started) / 1000;
  const parts = [
    response && nameModel(response),
    `${numTokens} tokens in ${seconds.toFixed(2)} s`,
    waited && `first after ${waited.toFixed(0)} ms`,
    isStopped ? "stopped" : ENDS[details.finish_reason],
  ];
  return parts.filter(Boolean).join(" · ");
}
