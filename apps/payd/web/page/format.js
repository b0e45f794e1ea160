// @ts-check
// Numbers as people read them.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const money = new Intl.NumberFormat('en', { style: 'currency', currency: 'EUR' });

/** A number that is not there is a dash. @param {Intl.NumberFormat} format @param {number} v */
const shown = (format, v) => (Number.isFinite(v) ? format.format(v) : '–');

/** @param {number} v */
export const int = (v) => shown(whole, v);
/** @param {number} v */
export const dec = (v) => shown(one, v);
/** @param {number} cents */
export const eur = (cents) => shown(money, cents / 100);

/** A change, with the sign of what is shown: what is rounded to nothing is neither more nor less. @param {number} v @param {number} [digits] 0 or 1 */
export function percent(v, digits = 1) {
  const rounded = Number(v.toFixed(digits));
  if (!Number.isFinite(rounded)) return '–';
  return `${rounded > 0 ? '+' : rounded < 0 ? '−' : '±'}${shown(digits ? one : whole, Math.abs(rounded))} %`;
}

/** @param {number} v */
export const times = (v) => `×${v.toFixed(3)}`;

/** Large counts, short. @param {number} v */
export function short(v) {
  if (!Number.isFinite(v)) return '–';
  if (v < 10000) return int(v);
  if (v < 999950) return `${one.format(v / 1e3)} k`;
  return `${one.format(v / 1e6)} M`;
}

/** @param {number} seconds */
export function span(seconds) {
  if (!Number.isFinite(seconds)) return '–';
  if (seconds < 90) return `${int(seconds)} s`;
  if (seconds < 5400) return `${int(seconds / 60)} min`;
  return `${one.format(seconds / 3600)} h`;
}

/** The time here, with the date when it is not about now. @param {number} ms */
export function clock(ms) {
  const at = new Date(ms);
  if (Number.isNaN(at.getTime())) return '–';
  const time = at.toLocaleTimeString('en-GB');
  return Math.abs(Date.now() - ms) < 20 * 3600e3 ? time : `${at.toLocaleDateString('sv')} ${time}`;
}

/** The whole of it, with the time zone. @param {number} ms */
export function fullClock(ms) {
  const at = new Date(ms);
  return Number.isNaN(at.getTime()) ? '–' : at.toLocaleString('en-GB', { dateStyle: 'full', timeStyle: 'long' });
}

const stops = [[0, [205, 62, 62]], [45, [226, 128, 44]], [70, [214, 172, 40]], [88, [96, 168, 84]], [100, [31, 148, 110]]];

/** The colour of a score: red is harsh, green is calm. @param {number} score */
export function colour(score) {
  for (let i = 1; i < stops.length; i++) {
    const [high, to] = /** @type {[number, number[]]} */ (stops[i]);
    const [low, from] = /** @type {[number, number[]]} */ (stops[i - 1]);
    if (score > high) continue;
    const f = Math.max(0, (score - low) / (high - low));
    return `rgb(${from.map((c, k) => Math.round(c + (to[k] - c) * f)).join(' ')})`;
  }
  return 'rgb(31 148 110)';
}
