// What all panels share: elements, forms, and what a form says of its work.

export const $ = (id) => document.getElementById(id);

export function element(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

export function say(status, text, isError = false) {
  status.className = isError ? "status error" : "status";
  status.textContent = text;
}

export function complain(status, error) {
  say(status, error.message, true);
  if (/API key/.test(error.message)) {
    $("key-box").open = true;
    $("key").focus();
  }
}

// Does the work when the form is submitted, by a button or Ctrl+Enter; it returns what to say.
export function handle(formId, work) {
  const form = $(formId);
  const status = form.querySelector(".status");
  const buttons = form.querySelectorAll("button[type=submit]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    for (const button of buttons) button.disabled = true;
    say(status, "Working…");
    try {
      say(status, await work(event.submitter));
    } catch (error) {
      complain(status, error);
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  });
  form.addEventListener("keydown", (event) => {
    const isReady = !form.querySelector("button[type=submit]:disabled");
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && isReady) form.requestSubmit();
  });
}
