/* The address book: where withdrawals may go, and from when. */

import { $, make, say } from "../lib/dom.js";
import { momentAndZone } from "../lib/time.js";
import { confirm } from "./confirm.js";
import { field, form, input, lacking, options } from "./forms.js";
import { networks } from "./networks.js";
import { draw, keep, rowButton, table } from "./table.js";
import { toast } from "./toasts.js";

const HOUR_S = 3600;

/** How long a new entry has to wait, in words. */
function wait(seconds) {
  if (!seconds) return "at once";
  const hours = seconds / HOUR_S;
  return hours >= 1 ? `after ${Number.isInteger(hours) ? hours : hours.toFixed(1)} h` : `after ${Math.ceil(seconds / 60)} min`;
}

/** The book of the account that is looked at; `changed` is called when it is read anew. */
export class AddressBook {
  #account;
  entries = [];
  required = false;
  #coolOff = 0;

  constructor(account, changed) {
    this.#account = account;
    this.changed = changed;
    const panel = $("#panel-addresses");
    const select = make("select", { name: "network" });
    this.form = form("address", "Add an address", [
      field("Coin and network", select), field("Address", input({ name: "address", maxLength: 128 }), null, "field grow"),
      field("Memo, if there is one", input({ name: "memo", maxLength: 128 })), field("Name", input({ name: "label", maxLength: 60 })),
    ], "Add to the book", (fields) => this.#add(fields, select));
    this.about = make("p", { class: "hint", id: "address-about" });
    this.fold = make("details", { id: "address-part" }, make("summary", { textContent: "Add an address" }), this.form.element);
    this.view = table(panel, "Address book", [["Name"], ["Coin"], ["Address", "id"], ["Memo"], ["Usable", "state"], ["", "act"]], "", this.about, this.fold);
    this.again = keep(account, this.view, "address book", "The address book is empty.", ["transfers"], () => {
      const needs = lacking(account, "address", "change the address book");
      this.fold.hidden = !account.name || Boolean(needs);
      options(select, networks.list.map((one) => `${one.asset} over ${one.network}`));
      say(this.about, !account.name ? "" : needs || [
        this.required ? "Withdrawals go to addresses of this book only." : "Withdrawals may also go to other addresses.",
        `A new entry can be used ${wait(this.#coolOff)}.`].join(" "));
      draw(this.view, this.entries, (one) => one.address_id, (row, one) => this.#fill(row, one));
    });
    networks.on("networks", this.again);
    account.on("signed", () => this.load());
    account.on("addresses", () => this.load());
    panel.addEventListener("click", (event) => {
      const id = event.target.closest("button")?.dataset.address;
      if (id) this.#remove(event.target, this.entries.find((one) => one.address_id === id));
    });
  }

  async load() {
    const { signer, name } = this.#account;
    if (!signer || !name) {
      this.entries = [];
      return;
    }
    // Reading the book is a matter of the same permission as changing it.
    if (!this.#account.may("address")) {
      this.entries = [];
      this.again();
      this.changed();
      return;
    }
    try {
      const answer = await this.#account.rest("GET", this.#account.target("/v1/addresses"));
      if (signer !== this.#account.signer || name !== this.#account.name) return;
      this.entries = answer.addresses;
      this.required = answer.required;
      this.#coolOff = answer.cool_off_s;
      this.again();
      this.changed();
    } catch (problem) {
      say(this.form.error, problem.message);
    }
  }

  #fill(row, one) {
    const [label, coin, address, memo, usable, act] = row.children;
    say(label, one.label || "–");
    say(coin, `${one.asset} over ${one.network}`);
    say(address, one.address);
    say(memo, one.memo ?? "–");
    const ready = Date.parse(one.available_at) <= Date.now();
    say(usable, ready ? "now" : `from ${momentAndZone(one.available_at)}`);
    usable.dataset.on = ready ? "yes" : "no";
    if (!act.firstChild) {
      act.append(rowButton("Remove", `Remove ${one.label || one.address}`, { "data-address": one.address_id }, "quiet danger"));
    }
  }

  async #add({ address, memo, label }, select) {
    const { asset, network } = networks.list[select.selectedIndex] ?? {};
    if (!address.value.trim()) {
      address.focus();
      throw new Error("Enter the address.");
    }
    const body = {
      asset, network, address: address.value.trim(), label: label.value.trim(), ...this.#account.named,
      ...(memo.value.trim() ? { memo: memo.value.trim() } : {}),
    };
    const sure = await confirm({
      kind: "money", title: `Add an address for ${asset}?`, go: "Add it",
      rows: [["Address", body.address], ["Network", network], ...(body.memo ? [["Memo", body.memo]] : []), ["Name", body.label || "–"], ["Usable", wait(this.#coolOff)]],
    });
    if (!sure) return;
    await this.#account.rest("POST", "/v1/addresses", body);
    toast(`${body.label || body.address} is in the book.`, "good");
    for (const one of [address, memo, label]) one.value = "";
    await this.load();
  }

  async #remove(button, one) {
    const sure = await confirm({
      kind: "money", danger: true, title: `Remove ${one.label || "this address"} from the book?`, go: "Remove it",
      rows: [["Address", one.address], ["Network", one.network]],
      warnings: this.#coolOff ? [`Added again, it can be used ${wait(this.#coolOff)}.`] : [],
    });
    if (!sure) return;
    button.disabled = true;
    try {
      await this.#account.rest("DELETE", this.#account.target(`/v1/addresses/${one.address_id}`));
      toast(`${one.label || one.address} is removed.`, "good");
      await this.load();
    } catch (problem) {
      toast(problem.message, "bad");
      button.disabled = false;
    }
  }
}
