/* A question before what cannot be taken back. Each kind of question can be switched off, in the
   question itself or in the help, and on again there. */

import { $, $$, make, say } from "../lib/dom.js";

/** The kinds of questions, as the help lists them. */
export const KINDS = {
  each: "every order",
  order: "an order far from the market, or larger than the book",
  cancel: "canceling all orders",
  money: "withdrawals, decisions about them, transfers, addresses",
  keys: "approving and revoking API keys",
  trading: "halting and resuming an instrument",
};

/** Asked only when somebody wishes it. */
const RARE = new Set(["each"]);

const place = (kind) => `tandem-${RARE.has(kind) ? "" : "no-"}question-${kind}`;

export function asks(kind) {
  try {
    return (localStorage.getItem(place(kind)) === null) !== RARE.has(kind);
  } catch {
    return !RARE.has(kind);
  }
}

function remember(kind, ask) {
  try {
    if (ask !== RARE.has(kind)) localStorage.removeItem(place(kind));
    else localStorage.setItem(place(kind), "1");
  } catch {
    // Asked again next time, then.
  }
}

/**
 * Ask. `rows` are [name, value] of what is to be done, `warnings` sentences; `go` is the word on
 * the button. Gives whether to go on; a kind that was switched off is not asked.
 */
export function confirm({ kind, title, rows = [], warnings = [], go, danger = false }) {
  if (!asks(kind)) return Promise.resolve(true);
  const dialog = $("#confirm");
  say($("#confirm-title"), title);
  $("#confirm-rows").replaceChildren(...rows.map(([name, value]) =>
    make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: value }))));
  $("#confirm-warnings").replaceChildren(...warnings.map((textContent) => make("li", { textContent })));
  const yes = $("#confirm-go");
  say(yes, go);
  yes.className = danger ? "main risk" : "main";
  const never = $("#confirm-never");
  never.checked = false;
  dialog.returnValue = "";
  dialog.showModal();
  $("#confirm-back").focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const sure = dialog.returnValue === "go";
      if (sure && never.checked) {
        remember(kind, false);
        draw();
      }
      resolve(sure);
    }, { once: true });
  });
}

function draw() {
  for (const box of $$("#questions input")) box.checked = asks(box.value);
}

/** The choices in the help. */
export function mountQuestions() {
  $("#questions").append(...Object.entries(KINDS).map(([kind, words]) => {
    const box = make("input", { type: "checkbox", value: kind });
    box.addEventListener("change", () => remember(kind, box.checked));
    return make("label", { class: "check" }, box, make("span", { textContent: words }));
  }));
  draw();
}
