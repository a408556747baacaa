// What the pages of Access Audience do beyond htmx. Everything here is a convenience: each form and
// link works without it. Hooks are data attributes and ids; nothing is evaluated from the page.
"use strict";

const panel = document.getElementById("panel");
const toasts = document.getElementById("toasts");

// ── Dialogs: a <dialog> that arrives in #panel opens as a modal one ──────────────────────────────

function openDialog() {
  const dialog = panel.querySelector("dialog");
  if (!dialog || dialog.matches(":modal")) return;
  dialog.removeAttribute("open");
  dialog.showModal();
  placeToasts();
  const first = dialog.querySelector("[role=alert], [aria-invalid=true], [autofocus]");
  if (first) first.focus();
}

// What is outside a modal dialog can be neither seen above it nor used: messages go where one is open.
function placeToasts() {
  const place = panel?.querySelector("dialog:modal") ?? document.body;
  if (toasts && toasts.parentElement !== place) place.append(toasts);
}

function isChanged(form) {
  return [...form.elements].some((field) => {
    if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
    if (field.tagName === "SELECT") return [...field.options].some((o) => o.selected !== o.defaultSelected);
    return field.type !== "hidden" && "defaultValue" in field && field.value !== field.defaultValue;
  });
}

function closeDialog(dialog, ask) {
  if (ask && [...dialog.querySelectorAll("form")].some(isChanged) && !window.confirm("Close without saving?")) return;
  dialog.close();
}

// Neither event of a dialog bubbles, so both are caught on their way down.
panel?.addEventListener(
  "cancel",
  (event) => {
    event.preventDefault(); // Esc
    closeDialog(event.target, true);
  },
  true,
);
panel?.addEventListener(
  "close",
  () => {
    placeToasts(); // out of the dialog, which goes
    panel.replaceChildren();
  },
  true,
);
panel?.addEventListener("click", (event) => {
  const closer = event.target.closest("[data-close]"); // a link back to the page, so that it works without this file
  const dialog = closer?.closest("dialog");
  if (!dialog?.matches(":modal")) return;
  event.preventDefault();
  closeDialog(dialog, true);
});
document.addEventListener("closePanel", () => panel.querySelector("dialog")?.close()); // by the header HX-Trigger

// ── Toasts: gone after 8 s, not while hovered or focused; errors stay ────────────────────────────

function startToast(toast) {
  let left = 8000;
  let since = 0;
  let timer = 0;
  const pause = () => {
    clearTimeout(timer);
    if (since) left -= Date.now() - since;
    since = 0;
  };
  const go = () => {
    if (since || toast.matches(":hover, :focus-within")) return;
    since = Date.now();
    timer = setTimeout(() => toast.remove(), Math.max(left, 1000));
  };
  toast.addEventListener("mouseenter", pause);
  toast.addEventListener("focusin", pause);
  toast.addEventListener("mouseleave", go);
  toast.addEventListener("focusout", () => setTimeout(go));
  go();
}

function startToasts() {
  for (const toast of toasts?.querySelectorAll("[data-toast]") ?? []) {
    toast.removeAttribute("data-toast");
    startToast(toast);
  }
}

function say(text, role = "alert") {
  const toast = document.createElement("div");
  toast.className = "toast-aa";
  toast.setAttribute("role", role);
  const words = document.createElement("span");
  words.textContent = text;
  const close = document.createElement("button");
  close.className = "btn btn-sm";
  close.type = "button";
  close.dataset.closeToast = "";
  close.textContent = "Close";
  toast.append(words, close);
  toasts.append(toast);
  return toast;
}

// Where the browser lets no page write (over plain HTTP), the text is selected instead.
async function copyFrom(element) {
  for (const before of toasts.querySelectorAll("[data-copied]")) before.remove();
  let words = "Copied";
  try {
    await navigator.clipboard.writeText(element.textContent.trim());
  } catch {
    window.getSelection().selectAllChildren(element);
    words = "Press Ctrl+C to copy what is selected";
  }
  const toast = say(words, "status");
  toast.dataset.copied = "";
  startToast(toast);
}

toasts?.addEventListener("click", (event) => {
  if (event.target.closest("[data-close-toast]")) event.target.closest(".toast-aa").remove();
});

// ── Menus, theme, copying, dropping files ────────────────────────────────────────────────────────

document.addEventListener("click", (event) => {
  const chosen = event.target.closest(".menu a, .menu button");
  if (chosen) chosen.closest("[popover]")?.hidePopover();

  const copy = event.target.closest("[data-copy]");
  if (copy) copyFrom(document.querySelector(copy.dataset.copy));
});

document.getElementById("theme")?.addEventListener("change", (event) => {
  const form = event.currentTarget;
  const theme = event.target.value;
  if (theme === "device") delete document.documentElement.dataset.bsTheme;
  else document.documentElement.dataset.bsTheme = theme;
  fetch(form.action, { method: "POST", body: new FormData(form), redirect: "manual" });
});

for (const type of ["dragenter", "dragover"])
  document.addEventListener(type, (event) => event.target.closest?.(".drop")?.classList.add("is-over"));
for (const type of ["dragleave", "drop"])
  document.addEventListener(type, (event) => event.target.closest?.(".drop")?.classList.remove("is-over"));

document.addEventListener("change", (event) => {
  const shown = event.target.type === "file" && document.querySelector(`[data-file-name="${event.target.id}"]`);
  if (shown && event.target.files.length) shown.textContent = event.target.files[0].name;
});

// ── Segments: how many rows are ticked; all of a page, and ranges by Shift ───────────────────────

let lastTick = null;

function ticks() {
  return [...(document.getElementById("bulk")?.elements ?? [])].filter((field) => field.name === "ids");
}

function tellTicked() {
  const rows = ticks();
  const ticked = rows.filter((row) => row.checked).length;
  const all = document.querySelector("#bulk [name=all]");
  if (all && ticked < rows.length) all.checked = false; // who takes one off means it
  const words = document.querySelector("[data-ticked]");
  if (words) words.textContent = all?.checked ? "All selected" : `${ticked} selected`;
  const head = document.querySelector("[data-tick-all]");
  if (!head) return;
  head.hidden = false;
  head.checked = ticked > 0 && ticked === rows.length;
  head.indeterminate = ticked > 0 && ticked < rows.length;
}

document.addEventListener("click", (event) => {
  if (event.target.name !== "ids") return;
  const rows = ticks();
  const [from, to] = [rows.indexOf(lastTick), rows.indexOf(event.target)].sort((a, b) => a - b);
  if (event.shiftKey && from >= 0) for (const row of rows.slice(from, to + 1)) row.checked = event.target.checked;
  lastTick = event.target;
});
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-tick-all]")) for (const row of ticks()) row.checked = event.target.checked;
  if (event.target.matches("#bulk [name=all]:checked")) for (const row of ticks()) row.checked = true;
  if (event.target.matches("[data-tick-all], [form=bulk], #bulk input")) tellTicked();
});
document.addEventListener("reset", () => setTimeout(tellTicked));
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  // A row that comes anew, as its switch was used, stays ticked.
  const [was, comes] = [event.detail.target, event.detail.fragment].map((part) => part.querySelector("[name=ids]"));
  if (!was || !comes) return;
  comes.checked = was.checked;
  if (lastTick === was) lastTick = comes;
});
document.addEventListener("htmx:afterSettle", tellTicked);
tellTicked();

// ── Segments: when a row was deleted, focus goes to the name of the row that took its place ──────

let deleting = -1; // the place of the row whose Delete was chosen last

document.addEventListener("click", (event) => {
  const row = event.target.closest("#segments tbody tr");
  if (row) deleting = event.target.closest(".del") ? row.sectionRowIndex : -1;
});
document.addEventListener("htmx:afterSettle", (event) => {
  if (event.target.id !== "segments" || deleting < 0) return;
  const names = event.target.querySelectorAll("tbody .nm");
  names[Math.min(deleting, names.length - 1)]?.focus();
  deleting = -1;
});

// ── Segments: focus that was on what the new table has no more goes to the table's first control ──

let within = false;

document.addEventListener("htmx:beforeSwap", (event) => {
  const table = event.detail.target;
  within = table.id === "segments" && table.contains(document.activeElement);
});
document.addEventListener("htmx:afterSettle", (event) => {
  if (event.target.id !== "segments" || !within) return; // what comes along out of band settles too
  if (document.activeElement === document.body) event.target.querySelector("[data-tick-all]")?.focus();
  within = false;
});

// ── Segments: a name that is changed in its row ──────────────────────────────────────────────────

let renaming = ""; // the row whose new name was sent last

function stopRenaming(form) {
  const row = form.closest("tr");
  form.remove();
  row.querySelector(".nm").focus();
}

document.addEventListener("keydown", (event) => {
  const form = event.key === "Escape" && event.target.closest?.(".rename");
  if (form) stopRenaming(form);
});
document.addEventListener("click", (event) => {
  const cancel = event.target.closest(".rename [data-cancel]");
  if (cancel) stopRenaming(cancel.form);
});
document.addEventListener("htmx:beforeRequest", (event) => {
  renaming = event.target.matches(".rename") ? event.target.closest("tr").id : "";
});
document.addEventListener("htmx:afterSettle", () => {
  const row = renaming && document.getElementById(renaming);
  if (!row || row.querySelector(".rename")) return; // refused: the form has the focus
  row.querySelector(".nm").focus();
  renaming = "";
});

// ── htmx ─────────────────────────────────────────────────────────────────────────────────────────

document.addEventListener("htmx:beforeSwap", (event) => {
  // Signed out meanwhile: the answer is the sign-in page, which is no fragment.
  if (event.detail.xhr.responseURL.includes("/accounts/login/")) {
    event.detail.shouldSwap = false;
    window.location.reload();
  }
  if (event.detail.target === panel && toasts) document.body.append(toasts); // else the swap would take them away
});
// What a page of an error says, which came instead of a fragment; undefined if it is none of ours.
function told(html) {
  return new DOMParser().parseFromString(html, "text/html").querySelector(".oops p")?.textContent;
}

document.addEventListener("htmx:afterSwap", openDialog);
document.addEventListener("htmx:afterSettle", startToasts);
document.addEventListener("htmx:sendError", () => say("Access Audience could not be reached. Nothing was changed; try again."));
const REFUSALS = new Set([413, 429, 503]); // whose pages say what to do
document.addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr.status;
  if (status === 403) say("You don't have access to this. Ask an admin of your workspace.");
  else if (status === 404) say("This is no longer here. Reload the page to see what is.");
  else say((REFUSALS.has(status) && told(event.detail.xhr.responseText)) || "Something went wrong on our side. Reload the page, then try again.");
});

if (panel) openDialog();
startToasts();
