// The panel that labels text: as it is typed over a WebSocket, or at every pause by POST /tag.

import { ask, openSocket, post } from "./api.js";
import { $, complain, element, say } from "./dom.js";

const EXAMPLES = { ko: "오늘은날씨가좋아서산책을나갔다.", en: "Ada Lovelace was born in London in 1815." };
const FRAME_CHARS = 500;
// How long the text has to rest: until its last labels are asked for, and until it is sent as a whole.
const END_MS = 800;
const WHOLE_MS = 300;
const SPACE = "SPACE";

let models = [];
let timer;
let isBusy = false;
let hasSockets = true; // as far as is known: a proxy may take none
// Where a syllable is being composed; it is sent once it is finished.
let composedFrom;
// A connection with its model, and the text that it labels so far.
let stream = { socket: undefined, model: undefined, text: "" };
// What is shown: a text, whose labels they are, and for how many characters they are known.
let shown = { text: "", model: undefined, entities: [], known: 0 };

export function openTag(taggers) {
  // those that label text as it is typed come first
  models = [...taggers].sort((one, other) => (one.lookahead === null) - (other.lookahead === null));
  $("tagger").replaceChildren(...models.map((model) => new Option(model.name, model.name)));
  $("tagger").addEventListener("change", changeModel);
  $("key").addEventListener("change", changeModel);
  $("tag-text").addEventListener("input", () => schedule(isLive() ? 0 : WHOLE_MS, follow));
  $("tag-text").addEventListener("compositionstart", () => {
    composedFrom = $("tag-text").selectionStart;
  });
  $("tag-text").addEventListener("compositionend", () => {
    composedFrom = undefined;
    schedule(0, follow);
  });
  $("tag").addEventListener("shown", () => schedule(0, follow));
  changeModel();
}

function findModel() {
  return models.find((model) => model.name === $("tagger").value);
}

function isLive() {
  return hasSockets && findModel().lookahead !== null;
}

function changeModel() {
  hasSockets = true;
  const { languages, lookahead } = findModel();
  $("tag-kind").textContent = isLive()
    ? `Labels text as you type, ${lookahead} characters behind.`
    : "Labels the text whenever you pause.";
  const isExample = Object.values(EXAMPLES).includes($("tag-text").value);
  if (isExample || !$("tag-text").value) $("tag-text").value = EXAMPLES[languages[0]] ?? "";
  if (!$("tag").hidden) schedule(0, follow);
}

function schedule(milliseconds, work) {
  clearTimeout(timer);
  timer = setTimeout(work, milliseconds);
}

function readTyped() {
  return $("tag-text").value.slice(0, composedFrom);
}

function isCurrent() {
  return shown.text === readTyped() && shown.model === findModel();
}

// One request or frame at a time; what is typed meanwhile goes with the next one.
async function follow() {
  if (isBusy) return;
  isBusy = true;
  try {
    while (!isCurrent()) await (isLive() ? labelTyped : labelWhole)(readTyped(), findModel());
    if (stream.text) schedule(END_MS, end);
  } catch (error) {
    complain($("tag-status"), error);
  } finally {
    isBusy = false;
  }
}

async function labelWhole(text, model) {
  const parameters = { model: model.name, aggregation_strategy: isSpacing(model) ? "none" : "simple" };
  const isBlank = !text.trim();
  const { answer, summary } = isBlank ? { answer: [], summary: "" } : await post("tag", { inputs: text, parameters });
  show({ text, model, entities: answer, known: Array.from(text).length });
  say($("tag-status"), summary);
}

// A connection labels a text that grows; a correction is a new text.
async function labelTyped(text, model) {
  if (!(await connect(model))) return;
  if (!text.startsWith(stream.text)) {
    await ask(stream.socket, "");
    stream.text = "";
  }
  const before = stream.text ? shown.entities : [];
  const frame = Array.from(text.slice(stream.text.length)).slice(0, FRAME_CHARS).join("");
  const { entities, end: known } = frame ? await ask(stream.socket, frame) : { entities: [], end: 0 };
  stream.text += frame;
  show({ text: stream.text, model, entities: [...before, ...entities], known });
}

// Opens a connection, unless there is one; without any, the text is sent as a whole.
async function connect(model) {
  if (stream.socket?.readyState === WebSocket.OPEN && stream.model === model) return true;
  stream.socket?.close();
  stream = { socket: undefined, model, text: "" };
  try {
    stream.socket = await openSocket("tag/stream", { model: model.name });
  } catch {
    hasSockets = false;
    $("tag-kind").textContent = "Labels the text whenever you pause: the server took no connection for live labels.";
  }
  return hasSockets;
}

// Asks for the labels of the last characters, which are known once the text has ended.
async function end() {
  if (isBusy) return;
  isBusy = true;
  const { model } = stream;
  const started = performance.now();
  try {
    const { entities, end: known } = await ask(stream.socket, "");
    show({ ...shown, entities: [...shown.entities, ...entities], known });
    const milliseconds = (performance.now() - started).toFixed(0);
    say($("tag-status"), `${model.name} v${model.version} · last labels after ${milliseconds} ms`);
  } catch (error) {
    complain($("tag-status"), error);
  } finally {
    stream.text = "";
    isBusy = false;
  }
  if (!isCurrent()) schedule(0, follow);
}

// Screen readers wait until all labels are known.
function show(labelled) {
  shown = labelled;
  const characters = Array.from(shown.text);
  const known = characters.slice(0, shown.known);
  const pending = characters.slice(shown.known).join("");
  const parts = isSpacing(shown.model) ? showSpaces(known, shown.entities) : showEntities(known, shown.entities);
  $("tagged").setAttribute("aria-busy", String(pending !== ""));
  $("tagged").replaceChildren(...parts, element("span", pending, "pending"));
}

function isSpacing(model) {
  return model.labels.includes(SPACE);
}

// The text with white space where the labels say, and nowhere else.
function showSpaces(characters, entities) {
  const ends = new Set(entities.filter((each) => each.entity === SPACE).map((each) => each.end));
  return characters.flatMap((character, index) => {
    const isKept = character === "\n" || character.trim();
    const isLast = index === characters.length - 1 || characters[index + 1] === "\n";
    const space = ends.has(index + 1) && !isLast ? [element("mark", " ", "space")] : [];
    return isKept ? [character, ...space] : space;
  });
}

// The text with each entity marked.
function showEntities(characters, entities) {
  const parts = [];
  let end = 0;
  for (const entity of joinTokens(entities)) {
    parts.push(characters.slice(end, entity.start).join(""));
    const mark = element("mark", characters.slice(entity.start, entity.end).join(""), "entity");
    mark.append(element("small", entity.name));
    mark.title = `${entity.name} ${entity.score.toFixed(3)}`;
    parts.push(mark);
    end = entity.end;
  }
  return [...parts, characters.slice(end).join("")];
}

// Neighbours of one name make an entity, unless the later one begins another ("B-").
export function joinTokens(tokens) {
  const joined = [];
  for (const { entity, entity_group: group, start, end, score } of tokens) {
    const label = group ?? entity;
    const name = label.replace(/^[BI]-/, "");
    const before = joined.at(-1);
    const goesOn = before?.name === name && !label.startsWith("B-") && start - before.end <= 1;
    if (goesOn) Object.assign(before, { end, score: Math.min(before.score, score) });
    else joined.push({ name, start, end, score });
  }
  return joined;
}
