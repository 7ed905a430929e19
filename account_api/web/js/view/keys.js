/* API keys of the account: made, approved by another person, revoked. A secret is shown once. */

import { $, $$, make, say } from "../lib/dom.js";
import { fromField, moment, momentAndZone, zoneName } from "../lib/time.js";
import { confirm } from "./confirm.js";
import { dialog, facts } from "./dialog.js";
import { copyButton, field, form, input, lacking, options } from "./forms.js";
import { draw, keep, rowButton, table } from "./table.js";
import { toast } from "./toasts.js";

const SCOPES = [
  ["read", "read"], ["trade", "trade"], ["withdraw", "withdraw and transfer"], ["address", "address book and deposit addresses"],
  ["approve", "approve withdrawals and keys"], ["keys", "make and revoke keys"],
];
const KINDS = [
  ["hmac", "HMAC: the venue makes a secret"], ["ed25519", "Ed25519: with a public key of yours"],
  ["bearer", "Bearer token: reads only"],
];
/** With these money can leave: such a key begins to work when somebody else has approved it. */
const SECOND_PERSON = new Set(["withdraw", "address", "approve", "keys"]);
const STATES = { active: "active", pending_approval: "waits for approval", expired: "expired", revoked: "revoked" };

export function mountKeys(account) {
  const panel = $("#panel-keys");
  let list = [];
  const kind = make("select", { name: "kind" });
  options(kind, KINDS);
  const publicKey = field("Public key (base64)", input({ name: "public_key", maxLength: 44 }), null, "field grow");
  const end = make("input", { type: "datetime-local", name: "valid_until" });
  const endZone = make("i", { id: "new-key-zone" });
  const scopes = make("fieldset", { class: "scopes" }, make("legend", { textContent: "Permissions" }),
    ...SCOPES.map(([scope, words]) => make("label", { class: "check" },
      make("input", { type: "checkbox", name: "scope", value: scope, checked: scope === "read" }), make("span", { textContent: words }))));
  const ask = form("new-key", "Make an API key", [
    field("Name", input({ name: "name", maxLength: 64, placeholder: "for example reports-2030" })), field("Kind", kind), publicKey,
    field("Only from these networks (IP or CIDR, by commas)", input({ name: "allow", maxLength: 400, placeholder: "as this key" }), null, "field grow"),
    field("Ends at", end, endZone), scopes,
  ], "Make the key", (fields) => create(fields));

  const fold = make("details", { id: "new-key-part" }, make("summary", { textContent: "Make an API key" }), ask.element);
  const view = table(panel, "API keys", [
    ["Name"], ["Key", "id"], ["Kind", "lo"], ["Permissions"], ["Networks", "lo"], ["User", "lo"], ["State", "state"], ["Ends", "lo"], ["Made", "lo"], ["", "act"],
  ], "", make("p", { class: "hint", id: "keys-needs" }), fold);
  const again = keep(account, view, "API keys", "No keys.", [], () => {
    const needs = lacking(account, "keys", "make or revoke keys");
    fold.hidden = !account.name || Boolean(needs);
    say($("#keys-needs"), account.name ? needs : "");
    publicKey.hidden = kind.value !== "ed25519";
    for (const box of $$("[name=scope]", scopes)) {
      box.disabled = !account.may(box.value) || (kind.value === "bearer" && box.value !== "read");
      box.closest("label").title = account.may(box.value) ? "" : "The key that is signed in does not have it, and so cannot give it.";
    }
    say(endZone, `${zoneName()}; never, if empty`);
    say(ask.hint, chosen().some((scope) => SECOND_PERSON.has(scope))
      ? "With these permissions money can leave: another person has to approve the key before it works."
      : "The key works at once.");
    const sorted = [...list].sort((one, other) => rank(one) - rank(other));
    draw(view, sorted, (one) => `key ${one.key}`, fill);
  });

  const chosen = () => $$("[name=scope]", scopes).filter((box) => box.checked && !box.disabled).map((box) => box.value);
  const rank = (one) => (["revoked", "expired"].includes(one.state) ? 1 : 0);

  async function load() {
    const { signer, name } = account;
    list = [];
    if (!signer || !name) return;
    try {
      const { keys } = await account.rest("GET", account.target("/v1/api-keys"));
      if (signer !== account.signer || name !== account.name) return;
      list = keys;
      again();
    } catch (problem) {
      say(ask.error, problem.message);
    }
  }

  function fill(row, one) {
    const [name, key, type, may, from, user, state, until, made, act] = row.children;
    row.classList.toggle("closed", rank(one) > 0);
    say(name, one.name ?? "of the configuration");
    say(key, one.key);
    say(type, one.kind);
    say(may, one.scopes.join(", "));
    say(from, one.allow.join(", ") || "any");
    say(user, one.user);
    say(state, STATES[one.state] ?? one.state);
    state.dataset.on = one.state === "active" ? "yes" : "no";
    say(until, one.valid_until ? moment(one.valid_until) : "never");
    until.title = one.valid_until ? momentAndZone(one.valid_until) : "";
    say(made, one.created_at ? moment(one.created_at) : "–");
    made.title = [one.created_at && `Made ${momentAndZone(one.created_at)} by ${one.created_by}`,
      one.approved_at && `approved ${momentAndZone(one.approved_at)} by ${one.approved_by}`,
      one.revoked_at && `revoked ${momentAndZone(one.revoked_at)} by ${one.revoked_by}`].filter(Boolean).join(", ");
    const wanted = [
      ...(one.state === "pending_approval" && account.may("approve") ? ["approve"] : []),
      ...(one.state !== "revoked" && account.may("keys") ? ["revoke"] : []),
    ];
    if (act.dataset.wanted === wanted.join()) return;
    act.dataset.wanted = wanted.join();
    act.replaceChildren(...wanted.map((verb) => rowButton(verb === "approve" ? "Approve" : "Revoke",
      `${verb === "approve" ? "Approve" : "Revoke"} the key ${one.name ?? one.key}`, { "data-verb": verb, "data-api-key": one.key },
      verb === "approve" ? "quiet" : "quiet danger")));
  }

  async function create(fields) {
    const name = fields.name.value.trim();
    const allow = fields.allow.value.split(/[\s,]+/).filter(Boolean);
    if (!name) {
      fields.name.focus();
      throw new Error("Give the key a name. It can be used once only.");
    }
    if (!chosen().length) throw new Error("Choose at least one permission.");
    const until = fromField(end.value);
    if (until && Date.parse(until) <= Date.now()) {
      end.focus();
      throw new Error("The key must end in the future.");
    }
    const made = await account.rest("POST", "/v1/api-keys", {
      name, kind: kind.value, scopes: chosen(), ...account.named, ...(allow.length ? { allow } : {}), ...(until ? { valid_until: until } : {}),
      ...(kind.value === "ed25519" ? { public_key: fields.public_key.value.trim() } : {}),
    });
    fields.name.value = fields.allow.value = fields.public_key.value = end.value = "";
    if (made.secret) showOnce(made);
    else toast(kind.value === "ed25519" ? `The key ${made.key} is made.` : `A key of the name ${made.name} was made before; its secret is not shown again.`, "good");
    await load();
  }

  async function decide(button, verb, one) {
    const what = one.name ?? one.key;
    const sure = await confirm(verb === "approve" ? {
      kind: "keys", danger: true, title: `Approve the key ${what}?`, go: "Approve it",
      rows: [["Key", one.key], ["Permissions", one.scopes.join(", ")], ["Networks", one.allow.join(", ") || "any"],
        ["Ends", one.valid_until ? momentAndZone(one.valid_until) : "never"], ["Made by", one.created_by ?? "–"]],
    } : {
      kind: "keys", danger: true, title: `Revoke the key ${what}?`, go: "Revoke it",
      rows: [["Key", one.key], ["Permissions", one.scopes.join(", ")], ["User", one.user]],
      warnings: ["For good and at once: whoever uses it is refused from now on."],
    });
    if (!sure) return;
    button.disabled = true;
    try {
      if (verb === "approve") await account.rest("POST", `/v1/api-keys/${one.key}/approve`);
      else await account.rest("DELETE", `/v1/api-keys/${one.key}`);
      toast(`The key ${what} is ${verb === "approve" ? "approved" : "revoked"}.`, "good");
      await load();
    } catch (problem) {
      toast(problem.message, "bad");
      button.disabled = false;
    }
  }

  panel.addEventListener("click", (event) => {
    const { verb, apiKey } = event.target.closest("button")?.dataset ?? {};
    if (apiKey) decide(event.target, verb, list.find((one) => one.key === apiKey));
  });
  ask.element.addEventListener("change", again);
  account.on("signed", load);
}

/** The only moment at which a secret is seen. */
function showOnce(made) {
  const token = made.kind === "bearer";
  const close = make("button", { type: "button", class: "main", textContent: "I have stored it" });
  const shown = dialog("new-secret", `${token ? "Token" : "Secret"} of the key ${made.name}`,
    make("p", { textContent: `Store it now: it is shown this once. ${made.state === "pending_approval" ? "It works when another person has approved the key." : ""}` }),
    facts([...(token ? [] : [["Key", made.key]]), ["Permissions", made.scopes.join(", ")], ["Ends", made.valid_until && momentAndZone(made.valid_until)]]),
    make("p", { class: "code", id: "secret-text", textContent: made.secret }),
    make("p", { class: "answers" }, ...(token ? [] : [copyButton(made.key, "the key")]), copyButton(made.secret, token ? "the token" : "the secret"), close));
  // Escape would lose it by accident.
  shown.addEventListener("cancel", (event) => event.preventDefault());
  close.addEventListener("click", () => shown.close());
}
