// Shows the buttons that copy; without this script there are none, and everything can be selected.
"use strict";
(() => {
  const COPIED_MS = 3000;
  if (!navigator.clipboard) return; // not a secure context (W3C Clipboard API)
  const told = document.getElementById("copied");
  const select = (what) => window.getSelection().selectAllChildren(what);
  for (const button of document.querySelectorAll("button[data-copies]")) {
    const what = document.getElementById(button.dataset.copies);
    const label = button.textContent;
    let timer;
    const tell = (text) => {
      button.textContent = text || label;
      told.textContent = text;
    };
    button.addEventListener("click", () => {
      navigator.clipboard.writeText(what.textContent).then(() => {
        tell(button.dataset.copied);
        clearTimeout(timer);
        timer = setTimeout(tell, COPIED_MS, "");
      }, () => select(what));
    });
    button.hidden = false;
  }
})();
