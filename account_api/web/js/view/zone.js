/* In which zone instants are shown: said above, and changed there or in the help. */

import { $, say } from "../lib/dom.js";
import { isUtc, setUtc, zoneName } from "../lib/time.js";

export function mountZone() {
  const button = $("#zone");
  const box = $("#zone-utc");
  const draw = () => {
    const name = zoneName();
    say(button, name);
    const other = isUtc() ? "Click for local time." : "Click for UTC.";
    button.title = `Times are ${isUtc() ? "in UTC" : `local, ${name}`}. ${other}`;
    box.checked = isUtc();
  };
  button.addEventListener("click", () => setUtc(!isUtc()));
  box.addEventListener("change", () => setUtc(box.checked));
  addEventListener("zonechange", draw);
  draw();
}
