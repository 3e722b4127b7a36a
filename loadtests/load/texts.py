"""What the users of the load test send: own sentences, from two words to a paragraph."""

# Shares of short, medium and long texts: most are a sentence, some a word or a paragraph.
LENGTH_WEIGHTS = (3, 5, 1)

REVIEWS: dict[str, tuple[list[str], ...]] = {
    "ko": (
        [
            "최고예요",
            "별로였어요",
            "또 보고 싶다",
            "시간이 아까워요",
            "배우들 연기가 좋네요",
            "생각보다 지루함",
            "눈물이 났습니다",
            "기대 이하",
        ],
        [
            "이야기가 단순하지만 끝까지 손에 땀을 쥐게 한다.",
            "음악은 훌륭했는데 결말이 너무 급하게 끝나서 아쉬웠어요.",
            "아이들과 함께 봤는데 온 가족이 즐겁게 웃었습니다.",
            "예고편이 전부인 영화, 표값이 정말 아깝습니다.",
            "감독의 첫 작품이라고는 믿기지 않을 만큼 짜임새가 좋다.",
            "중간에 나가고 싶었지만 친구 때문에 참고 봤다.",
        ],
        [
            "처음 삼십 분은 조금 느리게 흘러가지만 주인공이 고향으로 돌아오는 장면부터는 눈을 뗄 "
            "수가 없었다. 잔잔한 음악과 바닷가 풍경이 오래 기억에 남을 것 같고, 부모님께도 꼭 "
            "보여 드리고 싶은 작품이다.",
            "소재는 신선했는데 각본이 모든 것을 망쳤다. 등장인물이 왜 그렇게 행동하는지 설명이 "
            "없고, 중요한 순간마다 우연에 기대다 보니 마지막에는 아무런 감동도 느낄 수 없었다.",
        ],
    ),
    "en": (
        [
            "loved it",
            "a waste of time",
            "not bad at all",
            "painfully dull",
            "what a cast!",
            "I want my money back",
            "pure joy",
            "skip this one",
        ],
        [
            "The jokes land, the songs stay with you, and nobody overstays their welcome.",
            "It looks expensive and feels empty from the first minute to the last.",
            "A quiet film that trusts its audience and earns every tear.",
            "Half an hour in I was already checking my watch.",
            "Not the sequel I hoped for, but the chase across the roofs is worth the ticket.",
            "The script had one idea and repeated it until the lights came on.",
        ],
        [
            "I went in expecting another tired heist story and came out grinning. The crew feels "
            "like real friends, the plan goes wrong in ways I did not see coming, and the last "
            "ten minutes are the best thing I have seen in a cinema this year.",
            "There is a good documentary somewhere in these two and a half hours, but it is "
            "buried under a voice that explains every picture twice. By the time the farmers "
            "finally get to speak for themselves, most of the people around me had fallen asleep.",
        ],
    ),
}

SENTENCES: dict[str, tuple[list[str], ...]] = {
    "en": (
        [
            "Good morning!",
            "Where is the station?",
            "Two dogs are playing.",
            "I am tired.",
            "How much is this?",
            "A child is laughing.",
        ],
        [
            "A woman in a red coat is waiting for the bus in the rain.",
            "Three boys are kicking a ball around an empty parking lot.",
            "Could you tell me which train goes to the airport?",
            "An old man is selling flowers at the corner of the market.",
            "My sister will visit us next week if the weather is good.",
            "Two cyclists are resting on a bench beside the river.",
        ],
        [
            "A group of people is standing in front of a small shop. A man with a white apron is "
            "handing out bread, and a girl on her father's shoulders is trying to reach the lamp "
            "above the door.",
        ],
    ),
    "de": (
        [
            "Guten Abend!",
            "Wo ist der Bahnhof?",
            "Ein Hund schläft.",
            "Das Kind lacht.",
            "Zwei Männer warten.",
            "Es schneit.",
        ],
        [
            "Eine Frau mit grünem Hut fährt auf einem Fahrrad durch den Park.",
            "Vier Kinder bauen am Strand eine Burg aus Sand.",
            "Ein Mann in blauem Hemd repariert das Dach seines Hauses.",
            "Mehrere Leute sitzen vor einem Café und trinken Kaffee.",
            "Ein kleines Mädchen malt mit Kreide auf den Gehweg.",
            "Zwei Arbeiter tragen eine lange Leiter über die Straße.",
        ],
        [
            "Auf einer Wiese spielen Kinder mit einem großen bunten Ball. Im Hintergrund steht "
            "ein alter Mann neben einem Baum, hält eine Zeitung in der Hand und schaut ihnen "
            "lächelnd zu.",
        ],
    ),
    "ko": (
        [
            "안녕하세요?",
            "역이 어디예요?",
            "배가 고파요.",
            "이거 얼마예요?",
            "비가 옵니다.",
            "조금 천천히 말해 주세요.",
        ],
        [
            "내일 아침에 친구와 함께 산에 올라갈 거예요.",
            "할머니께서 시장에서 싱싱한 생선을 사 오셨다.",
            "공항으로 가는 버스는 몇 시에 출발합니까?",
            "동생은 어제 밤늦게까지 도서관에서 공부했어요.",
            "창문을 열면 멀리 바다가 보이는 방이에요.",
            "설정 파일을 바꾼 뒤에는 프로그램을 다시 시작해야 합니다.",
        ],
        [
            "지난 주말에는 오랜만에 가족과 함께 강가를 걸었습니다. 바람이 조금 차가웠지만 하늘이 "
            "맑아서 기분이 좋았고, 돌아오는 길에는 작은 식당에 들러 따뜻한 국수를 먹었습니다.",
        ],
    ),
}
