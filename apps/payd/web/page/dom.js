// @ts-check
// Building elements without markup strings, so that nothing from the log can become markup.

/**
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes] `class`, `text`, `on…` listeners, other attributes; null leaves one out
 * @param {...(Node|string|null)} children
 * @returns {any}
 */
export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  return fill(node, attributes, children);
}

/**
 * The same for SVG.
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes]
 * @param {...(Node|string|null)} children
 * @returns {any}
 */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

/** @param {any} node @param {Record<string, unknown>} attributes @param {(Node|string|null)[]} children */
function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'text') node.textContent = String(value);
    else if (name.startsWith('on')) node.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else if (name.startsWith('--')) node.style.setProperty(name, String(value));
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children) if (child !== null) node.append(child);
  return node;
}

/**
 * Writes a text only when it has changed, so that a selection in it survives.
 * @param {Element} node @param {string} text
 */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Puts rows into an order. What is moved loses the focus: it gets it back.
 * @param {Element} list @param {Node[]} rows
 */
export function arrange(list, rows) {
  const focused = document.activeElement;
  list.replaceChildren(...rows);
  if (focused instanceof HTMLElement && focused !== list && list.contains(focused)) focused.focus({ preventScroll: true });
}
