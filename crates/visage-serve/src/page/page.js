'use strict';
const $ = id => document.getElementById(id);
const percent = value => `${(value * 100).toFixed(value > 0.005 && value < 0.995 ? 0 : 1)} %`;
const words = name => name.replaceAll('_', ' ');

let models = [];
let token = '';
// The picture, its attributes, and the object URLs of the picture and of its heat map.
let picture = null, attributes = [], pictureUrl = '', heatUrl = '';
// The picture's size and faces, where they were looked for, and the number of the face whose attributes are listed.
let photograph = null, chosen = 0;
// Number of the latest request. Responses to earlier ones are ignored.
let latest = 0;

async function request(path, body) {
  const headers = {};
  if (token) headers.authorization = `Bearer ${token}`;
  if (body) headers['content-type'] = 'application/octet-stream';
  let response;
  try {
    response = await fetch(path, { method: body ? 'POST' : 'GET', headers, body, cache: 'no-store' });
  } catch {
    throw new Error('The server cannot be reached.');
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  if (response.status === 401) {
    $('login').hidden = false;
    $('token').focus();
    throw new Error(token ? 'This token is wrong.' : 'The server requires a token.');
  }
  throw new Error(problem.detail ? `${problem.detail[0].toUpperCase()}${problem.detail.slice(1)}.` : `The server responded with status ${response.status}.`);
}

function report(status, error = '') {
  $('status').textContent = status;
  $('error').textContent = error;
}

const selectedModel = () => models.find(model => model.name === $('model').value);

async function loadModels() {
  let finds;
  try {
    ({ models, finds_faces: finds } = await (await request('v1/models')).json());
  } catch (error) {
    report('', error.message);
    return;
  }
  $('login').hidden = true;
  report('');
  $('model').replaceChildren(...models.map(model => new Option(`${model.name} (${model.architecture}, ${model.height}x${model.width})`, model.name)));
  $('which').hidden = false;
  $('finding').hidden = !finds;
  showUses();
  if (picture) classify();
}

function showUses() {
  $('uses').textContent = selectedModel()?.uses_to_avoid ?? '';
  // A model of pictures as they are is not asked about aligned faces, unless somebody wants that.
  $('find').checked = selectedModel()?.alignment !== 'none';
}

function show(url, alt, caption) {
  $('image').src = url;
  $('image').alt = alt;
  $('caption').textContent = caption;
  $('shown').hidden = false;
}

// Object URLs keep their data in memory until they are revoked.
function revoke(url) {
  if (url) URL.revokeObjectURL(url);
  return '';
}

function take(file) {
  if (!file) return;
  picture = file;
  pictureUrl = revoke(pictureUrl);
  pictureUrl = URL.createObjectURL(file);
  showOriginal();
  classify();
}

function showOriginal() {
  heatUrl = revoke(heatUrl);
  $('plain').hidden = true;
  showOverlay('', '');
  for (const button of $('list').querySelectorAll('[aria-pressed=true]')) button.setAttribute('aria-pressed', 'false');
  show(pictureUrl, 'The original picture', picture.name ?? '');
}

async function classify() {
  const mine = ++latest;
  const find = !$('finding').hidden && $('find').checked;
  report(find ? 'Finding the faces …' : 'Running the model …');
  $('given').hidden = true;
  $('nothing').hidden = false;
  $('nothing').textContent = 'No results yet.';
  photograph = null;
  outline();
  try {
    const query = `model=${encodeURIComponent($('model').value)}${find ? '&faces=all' : ''}`;
    const { images: [image], warnings = [] } = await (await request(`v1/attributes?${query}`, picture)).json();
    if (mine !== latest) return;
    $('warnings').textContent = warnings.map(text => `${text[0].toUpperCase()}${text.slice(1)}.`).join(' ');
    if (find) {
      photograph = image;
      outline();
      if (image.faces.length === 0) {
        $('nothing').textContent = 'No face was found. To classify the picture as it is, switch off “Find the faces in the picture”.';
        report('No face was found in the picture.');
      } else {
        choose(0);
      }
      return;
    }
    attributes = image.attributes;
    list();
    report(`Done: ${$('summary').textContent}`);
  } catch (error) {
    if (mine !== latest) return;
    $('nothing').textContent = 'No results.';
    report('', error.message);
  }
}

// Draws a button around each face. They are one group for the keyboard: Tab reaches the chosen one, arrow keys choose another.
function outline() {
  const faces = photograph?.faces ?? [];
  $('faces').hidden = faces.length === 0;
  $('faces').replaceChildren(...faces.map(({ box }, index) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.setAttribute('role', 'radio');
    button.setAttribute('aria-label', faceName(index));
    button.style.left = `${(box.x + box.width / 2) / photograph.width * 100}%`;
    button.style.top = `${(box.y + box.height / 2) / photograph.height * 100}%`;
    button.style.width = `${box.width / photograph.width * 100}%`;
    button.style.height = `${box.height / photograph.height * 100}%`;
    if (faces.length > 1) {
      const number = document.createElement('span');
      number.textContent = index + 1;
      button.append(number);
    }
    button.addEventListener('click', () => choose(index));
    return button;
  }));
  $('near').hidden = faces.length === 0;
}

const faceName = index => `Face ${index + 1} of ${photograph.faces.length}`;

// Lists the attributes of a face, and shows it enlarged.
function choose(index) {
  // A heat map that is on its way is of another face.
  latest++;
  chosen = index;
  const { box, attributes: given } = photograph.faces[index];
  attributes = given;
  [...$('faces').children].forEach((button, at) => {
    button.setAttribute('aria-checked', at === index);
    button.tabIndex = at === index ? 0 : -1;
  });
  const side = 2 * Math.max(box.width, box.height);
  for (const image of [$('near-image'), $('near-overlay')]) {
    image.style.width = `${photograph.width / side * 100}%`;
    image.style.height = `${photograph.height / side * 100}%`;
    image.style.left = `${50 - (box.x + box.width / 2) / side * 100}%`;
    image.style.top = `${50 - (box.y + box.height / 2) / side * 100}%`;
  }
  $('near-image').src = pictureUrl;
  list();
  showOriginal();
  report(`Done: ${$('summary').textContent}`);
}

// Lays the heat map of the chosen face over the picture and over the enlarged face; none if there is no URL.
function showOverlay(url, alt) {
  for (const [overlay, image] of [[$('overlay'), $('image')], [$('near-overlay'), $('near-image')]]) {
    overlay.hidden = !url;
    if (url) overlay.src = url;
    else overlay.removeAttribute('src');
    image.classList.toggle('heated', Boolean(url));
  }
  $('overlay').alt = alt;
  if (photograph?.faces.length) $('near').setAttribute('aria-label', `${faceName(chosen)}, enlarged${url ? ', with the heat map' : ''}`);
}

function list() {
  const present = attributes.filter(each => each.present);
  const whose = photograph ? `${faceName(chosen)}: ` : '';
  $('summary').textContent = `${whose}${present.length} of ${attributes.length} attributes are present.`;
  const order = $('order').value === 'probable' ? [...attributes].sort((a, b) => b.probability - a.probability) : attributes;
  $('list').replaceChildren(...order.map(row));
  $('nothing').hidden = true;
  $('given').hidden = false;
}

function row({ name, probability, threshold, present }) {
  const part = (kind, text = '') => {
    const span = document.createElement('span');
    span.className = kind;
    span.textContent = text;
    return span;
  };
  const button = document.createElement('button');
  button.type = 'button';
  button.setAttribute('aria-pressed', 'false');
  const bar = part('bar');
  bar.setAttribute('aria-hidden', 'true');
  bar.style.setProperty('--probability', probability);
  bar.style.setProperty('--threshold', threshold);
  bar.title = `threshold ${percent(threshold)}`;
  button.append(part('name', words(name)), bar, part('number', percent(probability)), part('decision', present ? 'present' : 'absent'),
    part('visually-hidden', `threshold ${percent(threshold)}: show heat map`));
  button.addEventListener('click', () => heat(name, button));
  const item = document.createElement('li');
  if (present) item.className = 'present';
  item.append(button);
  return item;
}

async function heat(name, button) {
  if (button.getAttribute('aria-pressed') === 'true') {
    showOriginal();
    report('The original picture is shown.');
    return;
  }
  const mine = ++latest;
  report(`Computing the heat map of ${words(name)} …`);
  try {
    const face = photograph ? `&face=${chosen}` : '';
    const query = `model=${encodeURIComponent($('model').value)}&attribute=${encodeURIComponent(name)}${face}`;
    const png = await (await request(`v1/heat?${query}`, picture)).blob();
    if (mine !== latest) return;
    showOriginal();
    heatUrl = URL.createObjectURL(png);
    const alt = `Grad-CAM heat map over the ${photograph ? 'face' : 'picture'}: bright regions speak for ${words(name)}`;
    const caption = `Heat map of ${words(name)} (Grad-CAM): bright regions speak for it`;
    if (photograph) {
      showOverlay(heatUrl, alt);
      $('caption').textContent = caption;
    } else {
      show(heatUrl, alt, caption);
    }
    button.setAttribute('aria-pressed', 'true');
    $('plain').hidden = false;
    // On a narrow screen the picture is far above the list.
    $('shown').scrollIntoView({ block: 'nearest' });
    report(`The heat map of ${words(name)} is shown over the picture.`);
  } catch (error) {
    if (mine === latest) report('', error.message);
  }
}

// The camera, if the browser gives access to one.
let stream = null;
$('camera').hidden = !navigator.mediaDevices?.getUserMedia;
$('camera').addEventListener('click', async () => {
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'user' } });
  } catch (error) {
    report('', `The camera cannot be used: ${error.message}.`);
    return;
  }
  $('video').srcObject = stream;
  $('live').hidden = false;
  $('drop').hidden = true;
  await $('video').play();
  $('shoot').focus();
});
function stopCamera() {
  stream?.getTracks().forEach(track => track.stop());
  stream = null;
  $('video').srcObject = null;
  $('live').hidden = true;
  $('drop').hidden = false;
  $('camera').focus();
}
$('cancel').addEventListener('click', stopCamera);
$('shoot').addEventListener('click', () => {
  const video = $('video');
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext('2d').drawImage(video, 0, 0);
  canvas.toBlob(blob => take(new File([blob], 'camera picture', { type: 'image/png' })), 'image/png');
  stopCamera();
});

$('choose').addEventListener('click', () => $('file').click());
$('file').addEventListener('change', () => {
  take($('file').files[0]);
  $('file').value = '';
});
$('plain').addEventListener('click', () => {
  showOriginal();
  $('choose').focus();
});
$('order').addEventListener('change', list);
$('find').addEventListener('change', () => {
  if (!picture) return;
  showOriginal();
  classify();
});
$('faces').addEventListener('keydown', event => {
  const last = photograph.faces.length - 1;
  const next = {
    ArrowRight: chosen + 1, ArrowDown: chosen + 1, ArrowLeft: chosen - 1, ArrowUp: chosen - 1, Home: 0, End: last,
  }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  choose(next < 0 ? last : next > last ? 0 : next);
  $('faces').children[chosen].focus();
});
// The outlines of faces are placed in proportion to the picture.
$('image').addEventListener('load', () => $('frame').style.setProperty('--ratio', $('image').naturalWidth / $('image').naturalHeight));
$('model').addEventListener('change', () => {
  showUses();
  if (picture) {
    showOriginal();
    classify();
  }
});
$('login').addEventListener('submit', event => {
  event.preventDefault();
  token = $('token').value.trim();
  loadModels();
});
document.addEventListener('paste', event => {
  const file = [...event.clipboardData.files].find(file => file.type.startsWith('image/'));
  if (file) {
    event.preventDefault();
    take(file);
  }
});
// On the whole page: the browser would open a picture that is dropped beside the frame.
let over = 0;
const mark = change => {
  over = Math.max(0, over + change);
  $('drop').classList.toggle('over', over > 0);
};
document.addEventListener('dragenter', () => mark(1));
document.addEventListener('dragleave', () => mark(-1));
document.addEventListener('dragover', event => event.preventDefault());
document.addEventListener('drop', event => {
  event.preventDefault();
  mark(-over);
  const file = event.dataTransfer.files[0];
  if (file) take(file);
  else report('', 'The dropped item is not a file: save the picture first, or copy and paste it.');
});

loadModels();
