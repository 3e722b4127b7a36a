// The service: requests, events of a stream, and what the headers of an answer say.

import { $ } from "./dom.js";

// Proxies and portals answer in HTML, with an error or with 200.
async function readJson(response) {
  const value = await response.json().catch(() => undefined);
  if (response.ok && value !== undefined) return value;
  throw new Error(value?.error || `The server answers ${response.status}${response.ok ? " without JSON" : ""}.`);
}

// A server that is too busy says when to ask again. People would rather wait than press a button again.
const MAX_RETRIES = 3;
const MAX_RETRY_SECONDS = 10;

async function fetchPatiently(path, options) {
  for (let retries = 0; ; retries += 1) {
    const response = await fetch(path, options);
    const seconds = response.status === 429 ? Number(response.headers.get("Retry-After")) : 0;
    if (!seconds || seconds > MAX_RETRY_SECONDS || retries === MAX_RETRIES) return response;
    await pause(1000 * seconds, options.signal);
  }
}

// Ends early if the signal is given; the next fetch throws then.
function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", resolve, { once: true });
  });
}

export async function get(path) {
  return readJson(await fetch(path));
}

export async function send(path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  if ($("key").value) headers["X-API-Key"] = $("key").value;
  const response = await fetchPatiently(path, { method: "POST", headers, body: JSON.stringify(body), signal });
  if (!response.ok) await readJson(response);
  return response;
}

export async function post(path, body) {
  const started = performance.now();
  const response = await send(path, body);
  const answer = await readJson(response);
  return { answer, summary: summarize(response, performance.now() - started) };
}

export async function* readEvents(response) {
  const kind = response.headers.get("Content-Type") || "";
  if (!kind.startsWith("text/event-stream")) throw new Error(`The server answers ${response.status} without a stream.`);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) yield readEvent(block.split("\n"));
  }
}

function readEvent(lines) {
  const field = (name) => lines.find((line) => line.startsWith(name))?.slice(name.length);
  return { name: field("event: "), data: JSON.parse(field("data: ")) };
}

// A browser sends no headers with a WebSocket, so the key goes into the address.
export function openSocket(path, parameters) {
  const address = new URL(path, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const query = $("key").value ? { ...parameters, api_key: $("key").value } : parameters;
  address.search = new URLSearchParams(query);
  const socket = new WebSocket(address);
  return new Promise((resolve, reject) => {
    socket.onopen = () => resolve(socket);
    socket.onerror = () => reject(new Error("The server takes no connection for live labels."));
  });
}

// The event that answers a frame; the server answers each in turn.
export function ask(socket, frame) {
  return new Promise((resolve, reject) => {
    socket.onmessage = ({ data }) => {
      const event = JSON.parse(data);
      if (event.error) reject(new Error(event.error));
      else resolve(event);
    };
    socket.onclose = () => reject(new Error("The connection broke."));
    if (socket.readyState === WebSocket.OPEN) socket.send(frame);
    else socket.onclose();
  });
}

export function summarize(response, roundTrip) {
  const stages = (response.headers.get("Server-Timing") || "").split(",").map((part) => {
    const [, name, duration] = part.match(/([a-z]+);dur=([0-9.]+)/) || [];
    return name ? `${name} ${Number(duration).toFixed(1)} ms` : "";
  });
  return [nameModel(response), ...stages, `round trip ${roundTrip.toFixed(0)} ms`].filter(Boolean).join(" · ");
}

export function nameModel(response) {
  const model = response.headers.get("X-Model-Name");
  return model ? `${model} v${response.headers.get("X-Model-Version")}` : "";
}
