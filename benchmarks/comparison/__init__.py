"""Does a comparison keep its arms apart, its wall time short and its intervals honest?"""
