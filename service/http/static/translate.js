// The panel that translates.

import { readEvents, send, summarize } from "./api.js";
import { $, handle } from "./dom.js";

let languages = [];
let glossaries = [];

export function openTranslate(offered, named) {
  [languages, glossaries] = [offered, named];
  $("source").replaceChildren(new Option("Detect", "auto"), ...languages.map((each) => new Option(each.name, each.code)));
  if (languages.some((each) => each.code === "en")) $("source").value = "en";
  fillTargets();
  $("source").addEventListener("change", fillTargets);
  $("target").addEventListener("change", fillGlossaries);
  $("glossary-name").addEventListener("change", chooseTerms);
  $("swap").addEventListener("click", swapLanguages);
  handle("translate-form", translate);
}

function nameOf(code) {
  return (languages.find((language) => language.code === code) || { name: code }).name;
}

function fillTargets() {
  const source = $("source").value;
  const reachable = languages.find((language) => language.code === source);
  const codes = reachable ? reachable.targets : [...new Set(languages.flatMap((language) => language.targets))];
  const before = $("target").value;
  const options = codes.filter((code) => code !== source).map((code) => new Option(nameOf(code), code));
  $("target").replaceChildren(...options);
  if (codes.includes(before) && before !== source) $("target").value = before;
  fillGlossaries();
}

// The glossaries of the server that have terms for the direction.
function fillGlossaries() {
  const [source, target, before] = [$("source").value, $("target").value, $("glossary-name").value];
  const fits = (direction) => direction.source === source && direction.target === target;
  const names = glossaries.filter(({ directions }) => directions.some(fits)).map(({ name }) => name);
  const options = names.map((name) => new Option(name, name));
  $("glossary-name").replaceChildren(new Option("Terms of my own", ""), ...options);
  $("glossary-name").value = names.includes(before) ? before : "";
  $("glossary-choice").hidden = !names.length;
  chooseTerms();
}

// A request has one glossary: a named one or its own.
function chooseTerms() {
  $("glossary").disabled = Boolean($("glossary-name").value);
}

function swapLanguages() {
  const [source, target] = [$("source").value, $("target").value];
  if (source === "auto" || !languages.some((language) => language.code === target)) return;
  $("source").value = target;
  fillTargets();
  $("target").value = source;
  if ($("translation").textContent) {
    [$("text").value, $("translation").textContent] = [$("translation").textContent, $("text").value];
    $("incomplete").textContent = "";
  }
  fillGlossaries();
}

// A term and its translation a line, with "=" between them.
export function readGlossary(text) {
  const lines = text.split("\n").map((line, index) => ({ line, number: index + 1 }));
  const terms = lines.filter(({ line }) => line.trim()).map(({ line, number }) => {
    const [term, ...rest] = line.split("=");
    const translation = rest.join("=");
    if (!term.trim() || !translation.trim()) {
      throw new Error(`Line ${number} of the glossary is not “term = translation”.`);
    }
    return [term.trim(), translation.trim()];
  });
  return Object.fromEntries(terms);
}

function readLines(text) {
  return text.split("\n").map((line) => line.trim()).filter(Boolean);
}

function describeRequest() {
  const body = { q: $("text").value, source: $("source").value, target: $("target").value };
  body.formality = $("formality").value;
  if ($("beam").value) body.beam_size = Number($("beam").value);
  const name = $("glossary-name").value;
  const [glossary, keep] = [name || readGlossary($("glossary").value), readLines($("keep").value)];
  if (Object.keys(glossary).length) body.glossary = glossary;
  if (keep.length) body.keep = keep;
  return body;
}

// More likely wrong than acceptable.
const UNSURE_BELOW = 0.5;

export async function translate() {
  const body = describeRequest();
  const started = performance.now();
  const response = await send("translate", { ...body, stream: true });
  const output = $("translation");
  output.textContent = "";
  output.lang = body.target;
  $("incomplete").textContent = "";
  let answer, waited;
  for await (const { name, data } of readEvents(response)) {
    if (name === "error") throw new Error(data.error);
    if (name === "done") answer = data;
    else output.textContent += data.text;
    waited ??= performance.now() - started;
  }
  if (!answer) throw new Error("The connection broke before the translation was complete.");
  output.textContent = answer.translatedText;
  const doubts = [];
  if (answer.complete === false) doubts.push("may be incomplete");
  if (answer.score < UNSURE_BELOW) doubts.push(`unsure (${Math.round(100 * answer.score)} %)`);
  $("incomplete").textContent = doubts.join(", ");
  const detected = answer.detectedLanguage;
  const from = detected ? `from ${nameOf(detected.language)} (${detected.confidence} %) · ` : "";
  const times = summarize(response, performance.now() - started);
  return `${from}${times} · first word after ${waited.toFixed(0)} ms`;
}
