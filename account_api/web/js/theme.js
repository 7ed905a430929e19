/* Before anything is drawn: the theme that was chosen, else that of the system. */
{
  let chosen = null;
  try {
    chosen = localStorage.getItem("tandem-theme");
  } catch {
    // Storage may be switched off; then the system decides.
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}
