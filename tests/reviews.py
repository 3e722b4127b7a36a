"""Korean film reviews, from one token to many, for the tiny classifier."""

REVIEWS = [
    "이 영화 정말 재미있어요",
    "별로",
    "시간이 아까웠다. 다시는 안 본다.",
    "좋아요 좋아요 좋아요",
    "a",
    "배우들의 연기가 좋았고 음악도 훌륭했습니다",
    "돈이 아깝다",
]
