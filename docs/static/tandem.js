/* Samples of one request in several languages become tabs; the choice holds for the whole site.
   Tables on narrow screens show the name of each column before its cell. */

const NAMES = { sh: "curl", python: "Python", http: "HTTP" };
const KEY = "tandem.language";

function language(element) {
  const match = element.className.match(/\bhighlight-(\w+)/);
  return match && NAMES[match[1]] ? match[1] : null;
}

/* Runs of neighbouring samples, each in another language. */
function groups() {
  const found = [];
  for (const first of document.querySelectorAll("article div[class*='highlight-']")) {
    const before = first.previousElementSibling;
    if (!language(first) || (before && language(before) && language(before) !== language(first))) {
      continue;
    }
    const group = [first];
    for (let next = first.nextElementSibling; next && language(next); next = next.nextElementSibling) {
      if (group.some((one) => language(one) === language(next))) {
        break;
      }
      group.push(next);
    }
    if (group.length > 1) {
      found.push(group);
    }
  }
  return found;
}

function show(chosen, all) {
  for (const { group, tabs } of all) {
    const there = group.some((one) => language(one) === chosen) ? chosen : language(group[0]);
    for (const [index, one] of group.entries()) {
      const selected = language(one) === there;
      one.hidden = !selected;
      tabs.children[index].setAttribute("aria-selected", String(selected));
    }
  }
}

function tabs() {
  const all = groups().map((group) => {
    const bar = document.createElement("div");
    bar.className = "language-tabs";
    bar.setAttribute("role", "tablist");
    for (const one of group) {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("role", "tab");
      button.textContent = NAMES[language(one)];
      bar.append(button);
    }
    group[0].before(bar);
    return { group, tabs: bar };
  });
  for (const { group, tabs: bar } of all) {
    for (const [index, one] of group.entries()) {
      bar.children[index].addEventListener("click", () => {
        const top = bar.getBoundingClientRect().top;
        try { localStorage.setItem(KEY, language(one)); } catch { /* No storage: not remembered. */ }
        show(language(one), all);
        window.scrollBy(0, bar.getBoundingClientRect().top - top);
      });
    }
  }
  let kept = null;
  try { kept = localStorage.getItem(KEY); } catch { /* As above. */ }
  show(kept ?? "sh", all);
}

function nameCells() {
  for (const table of document.querySelectorAll("article table.docutils")) {
    const names = [...table.querySelectorAll("thead th")].map((cell) => cell.textContent.trim());
    for (const row of table.querySelectorAll("tbody tr")) {
      for (const [index, cell] of [...row.children].entries()) {
        if (index > 0 && names[index] && cell.textContent.trim()) {
          cell.dataset.name = names[index];
        }
      }
    }
  }
}

tabs();
nameCells();
