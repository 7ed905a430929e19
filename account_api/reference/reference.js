/* The API reference: signs what the explorer sends with the key that was chosen at the top.
   The secret stays in this page; it is turned into a key that cannot be read back. */

const $ = (selector) => document.querySelector(selector);
const encoder = new TextEncoder();
const OWN = "own";

let signer = null;
let lastMs = 0;

function hex(buffer) {
  return [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function signedBy(name, secret) {
  if (!globalThis.crypto?.subtle) {
    throw new Error("Browsers sign on secure pages only: use https or 127.0.0.1.");
  }
  const key = await crypto.subtle.importKey(
    "raw", encoder.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"],
  );
  return { name, key };
}

/** The request with the headers that spec/REST.md asks for. */
async function signed(request) {
  const { pathname, search } = new URL(request.url);
  const body = request.method === "GET" ? new ArrayBuffer(0) : await request.clone().arrayBuffer();
  lastMs = Math.max(lastMs + 1, Date.now());
  const digest = hex(await crypto.subtle.digest("SHA-256", body));
  const lines = [String(lastMs), request.method, pathname + search, digest];
  const once = request.headers.get("Idempotency-Key");
  if (once) {
    lines.push(once);
  }
  const text = encoder.encode(lines.join("\n"));
  const headers = new Headers(request.headers);
  headers.set("X-Tandem-Key", signer.name);
  headers.set("X-Tandem-Timestamp", String(lastMs));
  headers.set("X-Tandem-Signature", hex(await crypto.subtle.sign("HMAC", signer.key, text)));
  return new Request(request, { headers });
}

const plainFetch = globalThis.fetch;

/* The explorer sends by fetch and offers no place to wait for a signature. */
globalThis.fetch = async (input, init) => {
  const request = new Request(input, init);
  const { origin, pathname } = new URL(request.url);
  const ours = origin === location.origin && pathname.startsWith("/v1/");
  return plainFetch(ours && signer ? await signed(request) : request);
};

async function choose() {
  const chosen = $("#key").value;
  $("#own").hidden = chosen !== OWN;
  const name = chosen === OWN ? $("#name").value.trim() : chosen;
  // The secrets of a demo are its keys' names and a word, for everyone to know.
  const secret = chosen === OWN ? $("#secret").value : `${chosen}-secret`;
  signer = null;
  let state = "";
  if (name && secret) {
    try {
      signer = await signedBy(name, secret);
      state = "Requests are signed.";
    } catch (error) {
      state = error.message;
    }
  }
  $("#state").textContent = state;
}

function paint(dark) {
  const colours = dark
    ? { "bg-color": "#12161c", "text-color": "#dfe5ec", "header-color": "#f2f6fc",
        "nav-bg-color": "#0c1016", "nav-text-color": "#c8d1dc", "primary-color": "#6ea6ff",
        "secondary-color": "#6ea6ff", "nav-hover-bg-color": "#1b232d", "nav-hover-text-color": "#fff" }
    : { "bg-color": "#ffffff", "text-color": "#17202b", "header-color": "#17202b",
        "nav-bg-color": "#f5f7fa", "nav-text-color": "#17202b", "primary-color": "#1d5fd6",
        "secondary-color": "#1d5fd6", "nav-hover-bg-color": "#dbe1e9", "nav-hover-text-color": "#17202b" };
  for (const [name, colour] of Object.entries(colours)) {
    $("#explorer").setAttribute(name, colour);
  }
}

const demoKeys = document.documentElement.dataset.demoKeys.split(" ").filter(Boolean);
for (const name of demoKeys) {
  $("#key").append(new Option(name, name));
}
$("#key").append(new Option("a key of your own …", OWN));
$("#signing").addEventListener("submit", (event) => event.preventDefault());
$("#signing").addEventListener("change", choose);
const scheme = matchMedia("(prefers-color-scheme: dark)");
scheme.addEventListener("change", () => paint(scheme.matches));
paint(scheme.matches);
$("#explorer").setAttribute("server-url", location.origin);
$("#explorer").setAttribute("spec-url", "/openapi.json");
