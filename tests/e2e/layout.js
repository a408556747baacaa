// What does not fit on the page as it stands: a sentence for each fault, naming the element. Run by layout.py.
// What is hidden, or can be scrolled to within the page, is no fault; nor is text that ends in an ellipsis by rule.
// A picture that is still on its way has come, or failed, before anything is measured.
async () => {
  await Promise.allSettled([...document.images].map((image) => image.decode()));
  const SLACK = 1.5; // of a pixel's rounding
  const MOST = 8; // faults of one kind: the rest are like them
  const INTERACTIVE = "a[href], button, input:not([type=hidden]), select, textarea, summary";
  const wide = document.documentElement.clientWidth;
  const faults = new Map();

  function fault(kind, text) {
    const known = faults.get(kind) ?? new Set();
    if (known.size < MOST) known.add(text);
    faults.set(kind, known);
  }

  function name(element) {
    const own = (each) => {
      const classes = [...each.classList].map((one) => `.${one}`).join("");
      return each.localName + (each.id ? `#${each.id}` : "") + classes;
    };
    const words = (element.textContent || element.value || element.placeholder || "").trim().replace(/\s+/g, " ");
    const within = element.parentElement ? `${own(element.parentElement)} > ` : "";
    return `${within}${own(element)} "${words.slice(0, 40)}"`;
  }

  const style = (element) => getComputedStyle(element);
  const ancestors = function* (element) {
    for (let each = element.parentElement; each; each = each.parentElement) yield each;
  };
  const isReadAloudOnly = (element) => style(element).clipPath === "inset(50%)"; // the class .vh, and rules like it
  const isHidden = (element) =>
    !element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) ||
    [element, ...ancestors(element)].some((each) => isReadAloudOnly(each) || each.matches(".skip:not(:focus)"));

  // What lies above the rest on purpose, as what sticks does where a page is scrolled, is compared with itself only.
  const layers = new Map();
  function layer(element) {
    if (!layers.has(element)) {
      const sticks = [element, ...ancestors(element)].find((each) => style(each).position === "sticky");
      layers.set(element, element.closest(":popover-open, dialog[open], #toasts") ?? sticks ?? document.body);
    }
    return layers.get(element);
  }
  const root = document.querySelector("dialog:modal") ?? document.body;
  const elements = [...root.querySelectorAll("*")].filter((element) => !isHidden(element));

  const texts = [];
  for (const element of elements) {
    for (const node of element.childNodes) {
      if (node.nodeType !== Node.TEXT_NODE || !node.data.trim()) continue;
      if (element.matches("option, optgroup, textarea, script, noscript")) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      for (const box of range.getClientRects()) if (box.width > 1 && box.height > 1) texts.push({ element, node, box });
    }
  }

  // The part of a box that its ancestors let be seen or scrolled to; and who cut it.
  function cutBy(element, box) {
    for (const each of [element, ...ancestors(element)]) {
      if (each === document.body || each === document.documentElement) return null;
      const { overflowX, overflowY, textOverflow, webkitLineClamp, position } = style(each);
      if (textOverflow === "ellipsis" || webkitLineClamp !== "none") return null;
      const edge = each.getBoundingClientRect();
      const sideways = box.right > edge.right + SLACK || box.left < edge.left - SLACK;
      const upright = box.bottom > edge.bottom + SLACK || box.top < edge.top - SLACK;
      if (/auto|scroll/.test(overflowX) && sideways) return null;
      if (/auto|scroll/.test(overflowY) && upright) return null;
      if ((/hidden|clip/.test(overflowX) && sideways) || (/hidden|clip/.test(overflowY) && upright)) return each;
      if (position === "fixed") return null;
    }
    return null;
  }

  // The part of a box that can be seen: what ancestors cut off, by an ellipsis too, is over nothing.
  function seen(element, box) {
    let { left, right, top, bottom } = box;
    for (const each of [element, ...ancestors(element)]) {
      const { overflowX, overflowY, position, display } = style(each);
      const edge = each.getBoundingClientRect();
      if (!/inline$|contents/.test(display) && each !== document.body && each !== document.documentElement) {
        if (overflowX !== "visible") [left, right] = [Math.max(left, edge.left), Math.min(right, edge.right)];
        if (overflowY !== "visible") [top, bottom] = [Math.max(top, edge.top), Math.min(bottom, edge.bottom)];
      }
      if (position === "fixed") break;
    }
    return right - left > 1 && bottom - top > 1 ? { left, right, top, bottom, width: right - left, height: bottom - top } : null;
  }

  const scrolls = (element) =>
    [...ancestors(element)].some(
      (each) => each !== document.documentElement && each !== document.body && /auto|scroll/.test(style(each).overflowX),
    );

  function pageScrollsSideways() {
    const page = document.documentElement;
    if (page.scrollWidth > page.clientWidth) fault("scroll", `the page scrolls sideways, ${page.scrollWidth} in ${page.clientWidth} px`);
  }

  function isOutside() {
    for (const element of elements) {
      const shows = element.matches(`${INTERACTIVE}, img, svg`) || texts.some((text) => text.element === element);
      if (!shows || scrolls(element)) continue;
      const box = element.getBoundingClientRect();
      if (!box.width || !box.height || cutBy(element, box)) continue;
      if (box.right > wide + SLACK || box.left < -SLACK) {
        fault("outside", `outside the viewport, from ${Math.round(box.left)} to ${Math.round(box.right)} of ${wide} px: ${name(element)}`);
      }
    }
    for (const element of elements) {
      if (style(element).position !== "fixed" || layer(element) === document.body) continue;
      const box = element.getBoundingClientRect();
      if (box.left < -SLACK || box.right > wide + SLACK || box.top < -SLACK || box.bottom > innerHeight + SLACK) {
        fault("outside", `outside the viewport: ${name(element)}`);
      }
    }
  }

  function textIsCut() {
    for (const { element, box } of texts) {
      const by = cutBy(element, box);
      if (by) fault("cut", `text is cut off by ${name(by).split(' "')[0]}: ${name(element)}`);
    }
    for (const { element, box } of texts) {
      const block = [element, ...ancestors(element)].find((each) => !/^(inline|contents|ruby)$/.test(style(each).display));
      if (!block || block.closest("svg") || style(block).textOverflow === "ellipsis") continue;
      const edge = block.getBoundingClientRect();
      if (box.right > edge.right + SLACK || box.left < edge.left - SLACK) {
        if (!/auto|scroll/.test(style(block).overflowX)) fault("cut", `text runs out of its box: ${name(element)}`);
      }
    }
  }

  const pen = document.createElement("canvas").getContext("2d");
  function fieldIsTooNarrow() {
    for (const field of elements.filter((element) => element.matches("select, input[placeholder]"))) {
      const text = field.localName === "select" ? field.selectedOptions[0]?.text : field.value ? "" : field.placeholder;
      const { font, paddingLeft, paddingRight, textOverflow } = style(field);
      if (!text || textOverflow === "ellipsis") continue;
      pen.font = font;
      const room = field.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight);
      if (pen.measureText(text.trim()).width > room + SLACK) fault("cut", `text is cut off in a field: ${name(field)} "${text.trim().slice(0, 40)}"`);
    }
  }

  function overlap(one, other) {
    const across = Math.min(one.right, other.right) - Math.max(one.left, other.left);
    const down = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
    return across > SLACK && down > SLACK ? { across, down } : null;
  }

  // Pairs of boxes that lie over each other; sorted by their top, so that far ones are not compared.
  function* pairs(items) {
    items.sort((one, other) => one.box.top - other.box.top);
    for (let i = 0; i < items.length; i++) {
      for (let j = i + 1; j < items.length && items[j].box.top < items[i].box.bottom; j++) {
        const shared = overlap(items[i].box, items[j].box);
        if (shared && layer(items[i].element) === layer(items[j].element)) yield [items[i], items[j], shared];
      }
    }
  }

  const isLabelOf = (one, other) => [...(one.labels ?? [])].some((label) => label === other || label.contains(other));
  const related = (one, other) =>
    one.contains(other) || other.contains(one) || isLabelOf(one, other) || isLabelOf(other, one) ||
    (one.closest("label") && one.closest("label") === other.closest("label"));

  function interactiveOverlap() {
    const items = elements
      .filter((element) => element.matches(INTERACTIVE))
      .flatMap((element) => [...element.getClientRects()].map((box) => ({ element, box: seen(element, box) })))
      .filter(({ box }) => box);
    for (const [one, other] of pairs(items)) {
      if (!related(one.element, other.element)) fault("overlap", `${name(one.element)} and ${name(other.element)} overlap`);
    }
    for (const { element, box } of items) {
      const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
      const hit = document.elementFromPoint(x, y);
      if (hit && !related(element, hit) && layer(hit) === layer(element)) fault("overlap", `${name(element)} is covered by ${name(hit)}`);
    }
  }

  function textsOverlap() {
    const items = texts.map(({ element, node, box }) => ({ element, node, box: seen(element, box) })).filter(({ box }) => box);
    for (const [one, other, shared] of pairs(items)) {
      // The boxes of two lines touch where lines are set close; of letters that touch, much more is shared.
      if (one.node === other.node || shared.down < Math.min(one.box.height, other.box.height) / 3) continue;
      fault("overlap", `texts overlap: ${name(one.element)} and ${name(other.element)}`);
    }
  }

  function pictureIsMissing() {
    for (const image of elements.filter((element) => element.matches("img"))) {
      if (!image.naturalWidth) fault("missing", `a picture is missing: ${name(image)}`);
    }
  }

  for (const look of [pageScrollsSideways, isOutside, textIsCut, fieldIsTooNarrow, interactiveOverlap, textsOverlap, pictureIsMissing]) look();
  return [...faults.values()].flatMap((known) => [...known]);
}
