// Single-key shortcuts, as the help that "?" opens tells them. Each presses what is on the page anyway; none works
// while one types, and all can be switched off (WCAG 2.1.4).
"use strict";

(() => {
  const SWITCH = "single-key shortcuts";
  const help = document.getElementById("keys");
  const wanted = help?.querySelector("input");
  let lead = ""; // a "g" that was pressed just before
  let from = ""; // the row of the last "x"

  const press = (selector, within = document) => {
    const found = within?.querySelector(selector);
    found?.click();
    return Boolean(found);
  };
  const rows = () => [...document.querySelectorAll("#segments tbody tr")];
  const row = () => document.activeElement?.closest("#segments tbody tr");

  function step(by) {
    const all = rows();
    const next = row() ? all[all.indexOf(row()) + by] : all.at(by > 0 ? 0 : -1);
    next?.querySelector(".nm").focus();
    return all.length > 0;
  }

  function tick(range) {
    const box = row()?.querySelector('[name="ids"]');
    if (!box) return false;
    box.click();
    const all = rows();
    const [start, end] = [from, row().id].map((id) => all.findIndex((each) => each.id === id)).sort((a, b) => a - b);
    if (range && start >= 0)
      for (const each of all.slice(start, end + 1)) {
        const other = each.querySelector('[name="ids"]');
        if (other.checked !== box.checked) other.click();
      }
    from = row().id;
    return true;
  }

  function undo() {
    const buttons = document.querySelectorAll("#toasts form button");
    buttons[buttons.length - 1]?.click();
    if (buttons.length || !document.getElementById("segments")) return buttons.length > 0;
    return press("#nav [data-key=u]"); // Activity, where the last change is the first to undo
  }

  function search() {
    const field = document.querySelector("#q");
    field?.focus();
    field?.select();
    return Boolean(field);
  }

  const DO = {
    "/": search,
    "?": () => help.showPopover() ?? true,
    n: () => press("[data-key=n]"),
    j: () => step(1),
    k: () => step(-1),
    x: () => tick(false),
    X: () => tick(true),
    e: () => press('.menu [href$="/edit/"]', row()) || press("[data-key=e]"),
    u: undo,
    " ": () => document.activeElement?.matches(".nm") && press("[role=switch]", row()),
  };

  const MODIFIERS = ["Shift", "CapsLock", "AltGraph"]; // pressed to type another key: on some keyboards each digit

  function go(key) {
    if (key === "o") return press("#nav a");
    return /^[1-9]$/.test(key) && press(`#nav [data-channel="${key}"]`);
  }

  if (wanted) {
    wanted.checked = localStorage.getItem(SWITCH) !== "off";
    wanted.addEventListener("change", () => localStorage.setItem(SWITCH, wanted.checked ? "on" : "off"));
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !wanted?.checked) return;
    if (MODIFIERS.includes(event.key)) return;
    if (event.target.matches("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]")) return;
    if (document.querySelector("dialog:modal")) return;
    const done = lead === "g" ? go(event.key) : Object.hasOwn(DO, event.key) && DO[event.key]();
    lead = lead === "g" ? "" : event.key;
    if (done) event.preventDefault();
  });
})();
