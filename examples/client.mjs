// Classifies, translates and streams with fetch alone; Node 20 or newer.
//
//     node examples/client.mjs http://localhost:8000 [API_KEY]

import { pathToFileURL } from "node:url";

export class Client {
  #url;
  #headers;

  constructor(url, apiKey) {
    this.#url = url.replace(/\/$/, "");
    this.#headers = { "Content-Type": "application/json", ...(apiKey && { "X-API-Key": apiKey }) };
  }

  // Labels with scores for each text, best first.
  async classify(texts) {
    return (await this.#post("/classify", { inputs: texts })).json();
  }

  async translate(text, target, source = "auto") {
    const response = await this.#post("/translate", { q: text, source, target });
    return (await response.json()).translatedText;
  }

  // Yields parts of the translation as soon as they are certain.
  async *stream(text, target, source = "auto") {
    const response = await this.#post("/translate", { q: text, source, target, stream: true });
    for await (const { event, data } of readEvents(response.body)) {
      if (event === "error") throw new Error(data.detail);
      if (event === "token") yield data.text;
    }
  }

  async #post(path, body) {
    const response = await fetch(this.#url + path, {
      method: "POST",
      headers: this.#headers,
      body: JSON.stringify(body),
    });
    if (!response.ok) {
      // 429 names in Retry-After the seconds after which a retry makes sense
      throw new Error(`${response.status}: ${(await response.json()).detail}`);
    }
    return response;
  }
}

// Server-sent events of a response body; an empty line ends each.
async function* readEvents(body) {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    const blocks = (rest + decoder.decode(chunk, { stream: true })).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/, 2)));
      yield { event: fields.event, data: JSON.parse(fields.data) };
    }
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [url = "http://localhost:8000", apiKey] = process.argv.slice(2);
  const client = new Client(url, apiKey);
  const texts = ["a delight from start to finish", "a waste of two hours"];
  for (const [index, [best]] of (await client.classify(texts)).entries()) {
    console.log(`${texts[index]}: ${best.label} ${best.score.toFixed(2)}`);
  }
  const sentence = "A man is riding a bicycle down the street.";
  console.log(await client.translate(sentence, "de"));
  for await (const part of client.stream(sentence, "de", "en")) process.stdout.write(part);
  console.log();
}
