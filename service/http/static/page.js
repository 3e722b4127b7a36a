// Fills the page: the tabs of the tasks that models are loaded for, and the table of models.

import { get } from "./api.js";
import { openClassify } from "./classify.js";
import { $, complain } from "./dom.js";
import { openGenerate } from "./generate.js";
import { canBeLookedInto, openInside } from "./inside.js";
import { groupModels, showGroup } from "./models.js";
import { openTag } from "./tag.js";
import { openTranslate } from "./translate.js";

// The panels, with what opens each, given the models that it takes.
const PANELS = [
  { panel: "translate", takes: isOf("translation"), open: openTranslator },
  { panel: "classify", takes: isOf("classification"), open: openClassify },
  { panel: "generate", takes: isOf("language", "text2text"), open: openGenerate },
  { panel: "tag", takes: isOf("tagging"), open: openTag },
  { panel: "inside", takes: canBeLookedInto, open: openInside },
];

async function openTranslator() {
  openTranslate(...await Promise.all([get("languages"), get("glossaries")]));
}

function isOf(...tasks) {
  return (model) => tasks.includes(model.task);
}

function listTabs() {
  return [...document.querySelectorAll("[role=tab]:not([hidden])")];
}

function selectTab(chosen) {
  for (const tab of listTabs()) {
    const isChosen = tab === chosen;
    const panel = $(tab.getAttribute("aria-controls"));
    tab.setAttribute("aria-selected", String(isChosen));
    tab.tabIndex = isChosen ? 0 : -1;
    panel.hidden = !isChosen;
    if (isChosen) panel.dispatchEvent(new Event("shown"));
  }
}

// As the ARIA practices have it: arrows go round, Home and End to the ends.
function moveFocus(event) {
  const tabs = listTabs();
  const place = tabs.indexOf(event.target);
  const places = { ArrowRight: place + 1, ArrowLeft: place - 1 + tabs.length, Home: 0, End: tabs.length - 1 };
  if (!(event.key in places)) return;
  event.preventDefault();
  const next = tabs[places[event.key] % tabs.length];
  showTab(next);
  next.focus();
}

// The address names the tab, so that it can be linked to and is there after a reload.
function showTab(tab) {
  selectTab(tab);
  history.replaceState(null, "", `#${tab.getAttribute("aria-controls")}`);
}

function findNamedTab(tabs) {
  return tabs.find((tab) => `#${tab.getAttribute("aria-controls")}` === location.hash);
}

async function fill() {
  const [settings, models] = await Promise.all([get("frontend/settings"), get("models")]);
  $("key-box").hidden = !settings.keyRequired;
  $("models").append(...groupModels(models).map(showGroup));
  for (const { panel, takes, open } of PANELS) {
    const able = models.filter(takes);
    if (!able.length) continue;
    await open(able);
    $(`tab-${panel}`).hidden = false;
  }
  const tabs = listTabs();
  if (!tabs.length) return;
  for (const tab of tabs) {
    tab.addEventListener("click", () => showTab(tab));
    tab.addEventListener("keydown", moveFocus);
  }
  addEventListener("hashchange", () => selectTab(findNamedTab(tabs) ?? tabs[0]));
  selectTab(findNamedTab(tabs) ?? tabs[0]);
}

fill().catch((error) => complain($("page-status"), new Error(`The page could not be filled: ${error.message}`)));
