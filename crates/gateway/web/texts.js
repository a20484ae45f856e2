// All that the page says, in English and Chinese, and what puts it into the page again when the language changes.

const TEXTS = {
  en: {
    title: "Speech to text",
    skip: "Skip to the transcripts",
    speak: "Speak",
    stop: "Stop",
    starting: "Starting…",
    finishing: "Finishing…",
    speakHint: "Text appears while you speak",
    listening: "Listening",
    drop: "Drop recordings here",
    dropHint: "WAV, MP3, M4A, FLAC, Ogg, WebM, any length",
    choose: "Choose files",
    options: "Options",
    language: "Spoken language",
    auto: "Found out by the model",
    zh: "Chinese",
    en: "English",
    yue: "Cantonese",
    ja: "Japanese",
    ko: "Korean",
    hotwords: "Hot words",
    hotwordsHint: "Names and terms to listen for, with spaces between; for models that take them",
    uiLanguage: "中文",
    uiLanguageLabel: "切换到中文",
    themeAuto: "Appearance: as the system",
    themeLight: "Appearance: light",
    themeDark: "Appearance: dark",
    transcripts: "Transcripts",
    empty: "What you say or drop appears here. Nothing is kept: closing the page forgets it.",
    emptyKeys: "In a transcript, arrow keys move from word to word, and Enter plays from there.",
    live: "Live recording, {time}",
    waiting: "Waiting its turn",
    uploading: "Sending, {percent} %",
    transcribing: "Being transcribed…",
    busy: "The server is busy. Next try in {seconds} s",
    retry: "Try again",
    cancel: "Cancel",
    remove: "Remove {name}",
    cancelOf: "Cancel {name}",
    copy: "Copy",
    copied: "Copied",
    download: "Download as {kind}",
    downloads: "Download",
    play: "Play {name}",
    pause: "Pause {name}",
    position: "Position in {name}",
    wordsOf: "Words of {name}. Arrow keys move, Enter plays from a word.",
    noSpeech: "No speech was heard.",
    cannotPlay: "This browser cannot play the recording; the text is complete.",
    forgotten: "The beginning of the recording is no longer kept; the text is complete.",
    done: "{name}: done",
    settled: "Heard: {text}",
    noMicrophoneTitle: "The microphone is not allowed",
    noMicrophone: "Allow it for this page in the browser, beside its address, then press Speak again. Files work without it.",
    noDeviceTitle: "No microphone was found",
    noDevice: "Plug one in or switch it on, then press Speak again. Files work without it.",
    microphoneFailedTitle: "The microphone cannot be used",
    microphoneFailed: "Another program may have it: close that one, then press Speak again. ({reason})",
    insecureTitle: "Browsers give the microphone to secure pages alone",
    insecure: "Open this page as https://… or at 127.0.0.1. Files work all the same.",
    goneTitle: "The server cannot be reached",
    gone: "Is it running, and is this machine connected? The page goes on by itself when it answers.",
    notReadyTitle: "The server is not ready",
    notReady: "It may be loading its models, or be stopping. The page goes on by itself when it is.",
    backTitle: "The server is there again",
    streamsFullTitle: "The server has no room for another speaker",
    streamsFull: "Wait a moment, then press Speak again.",
    slowTitle: "The server cannot keep up",
    slow: "It hears more slowly than you speak, and recording was stopped. What it has heard stays.",
    brokeOff: "The connection broke off: what was heard until then is here.",
    failed: "It could not be transcribed: {reason}",
    tooLarge: "The file is too large for this server.",
    keyTitle: "This server wants a key",
    keyHint: "Whoever runs it gives you one. The page keeps it until this tab is closed.",
    keyLabel: "Key",
    keyWrong: "The server does not know this key. Look for a missing or an extra character.",
    keyUse: "Use this key",
    close: "Close",
    NEUTRAL: "neutral",
    HAPPY: "happy",
    SAD: "sad",
    ANGRY: "angry",
    FEARFUL: "fearful",
    DISGUSTED: "disgusted",
    SURPRISED: "surprised",
    BGM: "music",
    Applause: "applause",
    Laughter: "laughter",
    Cry: "crying",
    Sneeze: "sneeze",
    Cough: "cough",
    Breath: "breath",
  },
  zh: {
    title: "语音转文字",
    skip: "跳到转写结果",
    speak: "开始说话",
    stop: "停止",
    starting: "正在启动…",
    finishing: "正在收尾…",
    speakHint: "边说边出文字",
    listening: "正在聆听",
    drop: "把录音拖到这里",
    dropHint: "WAV、MP3、M4A、FLAC、Ogg、WebM，长度不限",
    choose: "选择文件",
    options: "选项",
    language: "所说的语言",
    auto: "自动识别",
    zh: "中文",
    en: "英语",
    yue: "粤语",
    ja: "日语",
    ko: "韩语",
    hotwords: "热词",
    hotwordsHint: "需要留意的人名和术语，以空格分隔；仅用于支持热词的模型",
    uiLanguage: "English",
    uiLanguageLabel: "Switch to English",
    themeAuto: "外观：跟随系统",
    themeLight: "外观：浅色",
    themeDark: "外观：深色",
    transcripts: "转写结果",
    empty: "您说的话和拖入的录音会显示在这里。页面不保存任何内容，关闭即清除。",
    emptyKeys: "在转写结果中，用方向键逐词移动，按回车键从该处播放。",
    live: "现场录音 {time}",
    waiting: "排队中",
    uploading: "正在上传 {percent} %",
    transcribing: "正在转写…",
    busy: "服务器繁忙，{seconds} 秒后重试",
    retry: "重试",
    cancel: "取消",
    remove: "移除 {name}",
    cancelOf: "取消 {name}",
    copy: "复制",
    copied: "已复制",
    download: "下载 {kind}",
    downloads: "下载",
    play: "播放 {name}",
    pause: "暂停 {name}",
    position: "{name} 的播放位置",
    wordsOf: "{name} 的文字。用方向键移动，按回车键从该词播放。",
    noSpeech: "没有听到说话声。",
    cannotPlay: "此浏览器无法播放该录音；文字是完整的。",
    forgotten: "录音的开头部分已不再保留；文字是完整的。",
    done: "{name}：已完成",
    settled: "听到：{text}",
    noMicrophoneTitle: "未获准使用麦克风",
    noMicrophone: "请在浏览器地址栏旁允许本页使用麦克风，然后再次点击“开始说话”。不用麦克风也可以转写文件。",
    noDeviceTitle: "没有找到麦克风",
    noDevice: "请接入或打开麦克风，然后再次点击“开始说话”。不用麦克风也可以转写文件。",
    microphoneFailedTitle: "无法使用麦克风",
    microphoneFailed: "可能被其他程序占用：请关闭该程序，然后再次点击“开始说话”。（{reason}）",
    insecureTitle: "浏览器只允许安全页面使用麦克风",
    insecure: "请以 https://… 或 127.0.0.1 打开本页。文件转写不受影响。",
    goneTitle: "无法连接服务器",
    gone: "请确认服务器正在运行、本机已联网。服务器恢复后，本页会自动继续。",
    notReadyTitle: "服务器尚未就绪",
    notReady: "可能正在加载模型或正在停止。就绪后，本页会自动继续。",
    backTitle: "服务器已恢复",
    streamsFullTitle: "服务器暂时无法接待更多说话人",
    streamsFull: "请稍等片刻，再点击“开始说话”。",
    slowTitle: "服务器跟不上",
    slow: "识别速度低于说话速度，录音已停止。已听到的内容会保留。",
    brokeOff: "连接中断：以下是此前听到的内容。",
    failed: "无法转写：{reason}",
    tooLarge: "文件超过了此服务器的上限。",
    keyTitle: "此服务器需要密钥",
    keyHint: "密钥由服务器管理者提供。关闭本标签页后，页面不再保留它。",
    keyLabel: "密钥",
    keyWrong: "服务器不认识这个密钥，请检查是否多了或少了字符。",
    keyUse: "使用此密钥",
    close: "关闭",
    NEUTRAL: "平静",
    HAPPY: "高兴",
    SAD: "悲伤",
    ANGRY: "生气",
    FEARFUL: "害怕",
    DISGUSTED: "厌恶",
    SURPRISED: "惊讶",
    BGM: "音乐",
    Applause: "掌声",
    Laughter: "笑声",
    Cry: "哭声",
    Sneeze: "喷嚏",
    Cough: "咳嗽",
    Breath: "呼吸声",
  },
};

let language = "en";

/** Whether the page can say this. */
export function has(key) {
  return Object.hasOwn(TEXTS[language], key);
}

/** The text of a key, with `{name}` filled in. */
export function text(key, values = {}) {
  return TEXTS[language][key].replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name];
    // A name may itself be a text of ours, such as that of a live recording.
    return value?.key ? text(value.key, value.values) : (value ?? "");
  });
}

/** Says something in an element, also after the language has changed. */
export function say(element, key, values) {
  remember(element, "text", key, values);
}

/** The same in an attribute, as `aria-label`. */
export function sayIn(element, attribute, key, values) {
  remember(element, attribute, key, values);
}

const spoken = new WeakMap();

function remember(element, place, key, values) {
  const places = spoken.get(element) ?? {};
  places[place] = [key, values];
  spoken.set(element, places);
  element.setAttribute("data-says", "");
  put(element, place, key, values);
}

function put(element, place, key, values) {
  if (place === "text") element.textContent = text(key, values);
  else element.setAttribute(place, text(key, values));
}

/** Says what the markup asks for by `data-text` and `data-label`. */
export function sayAll(root) {
  for (const element of root.querySelectorAll("[data-text]")) say(element, element.dataset.text);
  for (const element of root.querySelectorAll("[data-label]")) sayIn(element, "aria-label", element.dataset.label);
}

/** Says something to those who hear the page in place of seeing it. */
export function announce(key, values) {
  document.getElementById("announcer").textContent = text(key, values);
}

/** A copy of a template, in the language that is spoken. */
export function fromTemplate(id) {
  const copy = document.getElementById(id).content.firstElementChild.cloneNode(true);
  sayAll(copy);
  return copy;
}

/** Changes the language of all that is said. */
export function speakIn(chosen) {
  language = chosen in TEXTS ? chosen : "en";
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  document.title = `${text("title")} · triton-funasr`;
  for (const element of document.querySelectorAll("[data-says]")) {
    for (const [place, [key, values]] of Object.entries(spoken.get(element) ?? {})) put(element, place, key, values);
  }
}

/** The language that is spoken now. */
export function spokenLanguage() {
  return language;
}
