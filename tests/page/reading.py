"""Whether what is in sight can be read and used, as WCAG AA asks."""

from __future__ import annotations

from typing import Any

from tests.page.browser import Browser


def unreadable(page: Browser, selector: str) -> list[Any]:
    """What is wrong within an element: contrast, names, what lies outside of the screen."""
    return list(page.run(_SCRIPT, selector))


_SCRIPT = """
    const light = (colour) => {
        const [r, g, b] = colour.match(/[0-9.]+/g).map(Number)
            .map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (element) => {
        while (element && getComputedStyle(element).backgroundColor === 'rgba(0, 0, 0, 0)')
            element = element.parentElement;
        return getComputedStyle(element ?? document.body).backgroundColor;
    };
    const wrong = [];
    const complain = (what, element) => wrong.push([what, element.outerHTML.slice(0, 120)]);
    const seen = [...document.querySelector(arguments[0]).querySelectorAll('*')]
        .filter(e => e.checkVisibility({visibilityProperty: true}));
    for (const element of seen) {
        const text = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
        const used = element.matches('button, input, select, summary, a');
        const away = '.unseen, .unseen *, input[type=radio], option';
        if (element.disabled || element.matches(away) || (!text && !used)) continue;
        if (text) {
            const [one, other] = [light(getComputedStyle(element).color), light(ground(element))]
                .sort((x, y) => x - y);
            if ((other + 0.05) / (one + 0.05) < 4.5) complain('contrast', element);
        }
        if (used) {
            const name = element.getAttribute('aria-label') || element.innerText?.trim()
                || element.labels?.length || element.title;
            const { left, right } = element.getBoundingClientRect();
            if (!name) complain('no name', element);
            if (right > innerWidth + 1 || left < -1) complain('outside', element);
        }
        for (const id of (element.getAttribute('aria-describedby') ?? '').split(' '))
            if (id && !document.getElementById(id)) complain('described by nothing', element);
    }
    for (const list of document.querySelectorAll('[role=tablist]'))
        if (list.querySelector(':scope > :not([role=tab])')) complain('no tab', list);
    for (const head of seen.filter(e => e.matches('th')))
        if (!head.textContent.trim()) complain('empty head', head);
    const named = seen.filter(e => e.matches('section, nav, [role=region]')).map(e => [
        document.getElementById(e.getAttribute('aria-labelledby'))?.textContent
            ?? e.getAttribute('aria-label'), e]);
    for (const [name, element] of named)
        if (named.some(([other, at]) => other === name && at !== element))
            complain('same name', element);
    return wrong;
"""
