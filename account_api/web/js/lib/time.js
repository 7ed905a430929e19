/* Instants as people read them: in the zone of this computer or in UTC, whichever was chosen.
   Whatever shows one draws itself again on `zonechange`. */

const PLACE = "tandem-zone";
const MINUTE_MS = 60_000;

let utc = remembered();

function remembered() {
  try {
    return localStorage.getItem(PLACE) === "utc";
  } catch {
    return false;
  }
}

export function isUtc() {
  return utc;
}

/** Show instants in UTC, or as local time. */
export function setUtc(yes) {
  utc = yes;
  try {
    localStorage.setItem(PLACE, yes ? "utc" : "local");
  } catch {
    // Chosen for this page only, then.
  }
  dispatchEvent(new Event("zonechange"));
}

/** The zone in which an instant is shown: "UTC", "UTC+1", "UTC−3:30". */
export function zoneName(instant = Date.now()) {
  const offset = utc ? 0 : -new Date(instant).getTimezoneOffset();
  if (!offset) return "UTC";
  const size = Math.abs(offset);
  const minutes = size % 60 ? `:${two(size % 60)}` : "";
  return `UTC${offset < 0 ? "−" : "+"}${Math.floor(size / 60)}${minutes}`;
}

const two = (number) => String(number).padStart(2, "0");

/** The instant on the clock of the zone, to be read with the UTC methods of Date. */
function shifted(instant) {
  const when = new Date(instant);
  return utc ? when : new Date(when.getTime() - when.getTimezoneOffset() * MINUTE_MS);
}

const day = (when) => when.toISOString().slice(0, 10);
const time = (when) => when.toISOString().slice(11, 19);

/** Time of day; with the date where that is not today. */
export function clock(instant, now = Date.now()) {
  const when = shifted(instant);
  return day(when) === day(shifted(now)) ? time(when) : `${day(when)} ${time(when)}`;
}

/** Date and time. */
export function moment(instant) {
  const when = shifted(instant);
  return `${day(when)} ${time(when)}`;
}

/** The same with the name of the zone. */
export function momentAndZone(instant) {
  return `${moment(instant)} ${zoneName(instant)}`;
}

/** An instant as a field for date and time holds it, to the minute. */
export function toField(instant) {
  return shifted(instant).toISOString().slice(0, 16);
}

/** What such a field holds as the venue writes instants; null where it holds none. */
export function fromField(value) {
  const instant = Date.parse(utc ? `${value}Z` : value);
  return value && Number.isFinite(instant) ? new Date(instant).toISOString() : null;
}
