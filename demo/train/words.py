"""What the demo models can hear: digits, Chinese and English words, and Chinese words that sound like another one."""

DIGITS = {
    "零": "ling2", "一": "yi1", "二": "er4", "三": "san1", "四": "si4",
    "五": "wu3", "六": "liu4", "七": "qi1", "八": "ba1", "九": "jiu3",
}  # fmt: skip

# Each word's syllables in pinyin, one a character.
CHINESE = {
    "你好": "ni3 hao3", "谢谢": "xie4 xie5", "再见": "zai4 jian4", "很好": "hen3 hao3", "今天": "jin1 tian1",
    "明天": "ming2 tian1", "昨天": "zuo2 tian1", "天气": "tian1 qi4", "早上": "zao3 shang4", "晚上": "wan3 shang4",
    "下午": "xia4 wu3", "我们": "wo3 men5", "他们": "ta1 men5", "大家": "da4 jia1", "朋友": "peng2 you3",
    "老师": "lao3 shi1", "医生": "yi1 sheng1", "学校": "xue2 xiao4", "医院": "yi1 yuan4", "公园": "gong1 yuan2",
    "工作": "gong1 zuo4", "中国": "zhong1 guo2", "北京": "bei3 jing1", "上海": "shang4 hai3", "打开": "da3 kai1",
    "关闭": "guan1 bi4", "开始": "kai1 shi3", "停止": "ting2 zhi3", "音乐": "yin1 yue4", "电影": "dian4 ying3",
    "电视": "dian4 shi4", "空调": "kong1 tiao2", "手机": "shou3 ji1", "红色": "hong2 se4", "蓝色": "lan2 se4",
    "苹果": "ping2 guo3", "香蕉": "xiang1 jiao1", "喝水": "he1 shui3", "吃饭": "chi1 fan4", "睡觉": "shui4 jiao4",
}  # fmt: skip

ENGLISH = (
    "apple banana blue close computer doctor eight five four friend good green hello house left morning music night nine "
    "no one open phone please red right school seven six start stop thank three today tomorrow two water weather world yes "
    "you zero"
).split()

# A word that a model writes only when it is given as a hotword, and the word that it sounds exactly like: a town, "First
# Hospital", "they" (women), Anno Domini, "under construction", a pleasant sound, the rainbow's colours, a golden sky, a
# spice, old Shi, a friend named Peng, Dajia, the first machine.
HOMOPHONES = {
    "平果": "苹果", "一院": "医院", "她们": "他们", "公元": "公园", "在建": "再见", "音悦": "音乐", "虹色": "红色",
    "金天": "今天", "香椒": "香蕉", "老施": "老师", "鹏友": "朋友", "大佳": "大家", "首机": "手机",
}  # fmt: skip

# What a punctuation model puts behind a word: the published models' marks, of which "_" is none.
MARKS = ["<unk>", "_", "，", "。", "？", "、"]

PINYIN = {**DIGITS, **CHINESE}


def paraformer_tokens():
    """The Paraformers' vocabulary by id: blank, begin, end, the characters and words, and the unknown one last."""
    characters = sorted({character for word in PINYIN for character in word})
    return ["<blank>", "<s>", "</s>", *characters, *sorted(ENGLISH), "<unk>"]


def hotword_tokens():
    """SeacoParaformer's vocabulary: Paraformer's with the characters of the hotwords and "no bias", which the hotwords'
    part answers where none of them was said.
    """
    plain = paraformer_tokens()
    added = sorted({character for word in HOMOPHONES for character in word} - set(plain))
    return [*plain[:-1], *added, "<nobias>", plain[-1]]


def sensevoice_tokens():
    """SenseVoice's pieces by id: markers, tags, characters, digits, English words as pieces, and letters."""
    tags = (
        "zh en yue ja ko nospeech HAPPY SAD ANGRY NEUTRAL EMO_UNKNOWN Speech BGM Event_UNK withitn woitn"
    ).split()
    characters = sorted({character for word in PINYIN for character in word})
    return [
        "<unk>", "<s>", "</s>", *(f"<|{tag}|>" for tag in tags), "▁", *characters, *"0123456789", "。", ".",
        *(f"▁{word}" for word in sorted(ENGLISH)), *"abcdefghijklmnopqrstuvwxyz",
    ]  # fmt: skip
