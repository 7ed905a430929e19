/* Staying signed in over a reload of the same tab.

   What is kept is not the secret but the key that was imported from it, which no script can read
   back (`extractable` is false): it lies in IndexedDB, under a random name that only this tab
   knows (sessionStorage). Another tab does not find it, and nothing is in localStorage, in a
   cookie or in the URL. Signing out deletes it; what a closed tab left behind is deleted by the
   next page that starts after `LASTS_MS`. A token is text and could be read back, so it is not
   kept. Where the browser stores nothing, a reload signs out. */

const DATABASE = "tandem";
const STORE = "tabs";
const TAB = "tandem-tab";
const SEEN_EVERY_MS = 60_000;
const LASTS_MS = 15 * 60_000;
const WAIT_MS = 1_000;

const asked = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

async function open() {
  const request = indexedDB.open(DATABASE, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "tab" });
  return asked(request);
}

/** Do something with the store, a bounded time; null where the browser does not let us. */
async function withStore(act) {
  const late = new Promise((resolve) => setTimeout(() => resolve(null), WAIT_MS));
  const done = (async () => {
    const database = await open();
    try {
      const store = database.transaction(STORE, "readwrite").objectStore(STORE);
      return await act(store);
    } finally {
      database.close();
    }
  })();
  return Promise.race([done, late]).catch(() => null);
}

function tab(make = false) {
  try {
    if (make && !sessionStorage.getItem(TAB)) sessionStorage.setItem(TAB, crypto.randomUUID());
    return sessionStorage.getItem(TAB);
  } catch {
    return null;
  }
}

let beating = null;

/** Keep who is signed in: `kept` is {name, key, account, viewed, scopes}. */
export async function keep(kept) {
  clearInterval(beating);
  const mine = tab(true);
  if (!mine) return;
  const write = () => withStore((store) => asked(store.put({ ...kept, tab: mine, seen: Date.now() })));
  beating = setInterval(write, SEEN_EVERY_MS);
  await write();
}

/** Whoever was signed in before the reload, or null; what other tabs left behind is deleted. */
export async function kept() {
  const mine = tab();
  const found = withStore(async (store) => {
    const all = await asked(store.getAll());
    const old = all.filter((one) => Date.now() - one.seen > LASTS_MS);
    for (const one of old) store.delete(one.tab);
    return all.find((one) => one.tab === mine && !old.includes(one)) ?? null;
  });
  // A tab that never signed in has nothing to wait for.
  return mine ? found : null;
}

/** Forget it. */
export async function forget() {
  clearInterval(beating);
  const mine = tab();
  if (!mine) return;
  try {
    sessionStorage.removeItem(TAB);
  } catch {
    // Then nothing was kept either.
  }
  await withStore((store) => asked(store.delete(mine)));
}
